#[pglock::prioritize]
fn job(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
