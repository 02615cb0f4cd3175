#[pglock::timeout(0.0001)]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
