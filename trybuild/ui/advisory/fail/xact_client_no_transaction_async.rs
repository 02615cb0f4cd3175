#[pglock::advisory(client = conn, xact)]
async fn report(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
