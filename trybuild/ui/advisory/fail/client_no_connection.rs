#[pglock::advisory(client = conn)]
fn report(conn: &mut String) -> Result<(), pglock::Error> {
    conn.clear();
    Ok(())
}

fn main() {}
