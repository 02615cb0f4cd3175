#[pglock::prioritize(timeout = "999ms")]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
