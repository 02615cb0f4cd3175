#[pglock::timeout(timeout = "3s")]
fn report(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {
    let _ = report;
}
