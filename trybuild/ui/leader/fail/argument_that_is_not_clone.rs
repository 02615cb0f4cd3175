struct Pool;

#[pglock::leader("scheduler")]
async fn schedule(name: String, pool: Pool) -> Result<(), pglock::Error> {
    let _ = (name, pool);
    Ok(())
}

#[pglock::leader("borrows")]
async fn borrow(client: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

fn main() {}
