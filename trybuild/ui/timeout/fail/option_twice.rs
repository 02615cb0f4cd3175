#[pglock::timeout("3s", client = conn, client = conn)]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
