#[pglock::advisory("job", client = conn, hold_at_least = "30s", hold_at_most = "10m")]
async fn report(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
