#[pglock::prioritize(timeout = "5999ms", side_effect = Escalate)]
fn job(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[pglock::prioritize(interval = "500ms", timeout = "3s", side_effect = pglock::Escalate)]
fn other(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
