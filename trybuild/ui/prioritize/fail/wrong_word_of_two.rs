// Both are wrong, and both are told.
#[pglock::prioritize(interval = 0)]
#[pglock::advisory(timeout = "soon")]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
