#[pglock::advisory(client = conn, using = "reports")]
fn report(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
