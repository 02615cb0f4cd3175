#[pglock::timeout("30days")]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
