#[pglock::retry]
fn in_a_transaction(tx: &mut postgres::Transaction<'_>) -> Result<(), pglock::Error> {
    let _ = tx;
    Ok(())
}

#[pglock::retry]
async fn in_an_async_transaction(tx: &mut tokio_postgres::Transaction<'_>) -> Result<(), pglock::Error> {
    let _ = tx;
    Ok(())
}

#[pglock::retry]
fn not_a_connection(count: &mut u32) -> Result<(), pglock::Error> {
    let _ = count;
    Ok(())
}

fn main() {}
