#[pglock::advisory(client = client)]
fn report(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
