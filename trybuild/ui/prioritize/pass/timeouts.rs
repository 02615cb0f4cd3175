use std::time::Duration;

use postgres::Client;

// The first poll, and what `Escalate` does after its five seconds, come in time.
#[pglock::prioritize(timeout = "6s", side_effect = Escalate)]
fn long_enough(conn: &mut Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

// How long it waits is not seen.
#[pglock::prioritize(timeout = "2s", side_effect = pglock::Escalate::new().after(Duration::from_secs(1)))]
fn a_grace_time_of_its_own(conn: &mut Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

// Another connection's.
#[pglock::timeout("300ms", client = first)]
#[pglock::prioritize(client = second)]
fn two_connections(first: &mut Client, second: &mut Client) -> Result<(), pglock::Error> {
    let _ = (first, second);
    Ok(())
}

// One further in replaces it.
#[pglock::timeout("300ms")]
#[pglock::prioritize(timeout = "10s")]
fn of_prioritize(conn: &mut Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[pglock::prioritize]
#[pglock::timeout("300ms")]
#[pglock::timeout("10s")]
fn of_the_innermost(conn: &mut Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
