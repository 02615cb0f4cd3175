#[pglock::timeout("300ms")]
#[pglock::prioritize(interval = "500ms")]
fn above(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[pglock::prioritize(interval = "500ms", timeout = "30s")]
#[pglock::timeout("300ms", client = conn)]
fn below(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[pglock::timeout(3)]
#[pglock::prioritize(side_effect = Escalate)]
#[pglock::advisory("job")]
fn escalates(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
