#[pglock::advisory(client = conn)]
fn report(conn: postgres::Client) -> Result<(), pglock::Error> {
    drop(conn);
    Ok(())
}

fn main() {}
