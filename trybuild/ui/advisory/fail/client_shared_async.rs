#[pglock::advisory(client = conn)]
async fn report(conn: &tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
