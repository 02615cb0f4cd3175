#[pglock::advisory(client = tx)]
async fn report(tx: &mut tokio_postgres::Transaction<'_>) -> Result<(), pglock::Error> {
    let _ = tx;
    Ok(())
}

fn main() {}
