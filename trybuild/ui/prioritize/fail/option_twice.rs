#[pglock::prioritize(interval = "1s", interval = "2s")]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
