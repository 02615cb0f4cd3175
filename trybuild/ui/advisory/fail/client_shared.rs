#[pglock::advisory(client = conn)]
fn report(conn: &postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
