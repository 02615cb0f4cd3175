#[pglock::advisory(client = conn, dedicated)]
fn report(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
