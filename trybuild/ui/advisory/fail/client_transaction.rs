#[pglock::advisory(client = tx)]
fn report(tx: &mut postgres::Transaction<'_>) -> Result<(), pglock::Error> {
    let _ = tx;
    Ok(())
}

fn main() {}
