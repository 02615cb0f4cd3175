#[pglock::advisory(client = conn)]
fn report(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
