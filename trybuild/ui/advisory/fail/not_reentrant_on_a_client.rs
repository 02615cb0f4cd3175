#[pglock::advisory("job", client = conn, reentrant = false)]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    conn.batch_execute("SELECT 1").unwrap();
    Ok(())
}

fn main() {}
