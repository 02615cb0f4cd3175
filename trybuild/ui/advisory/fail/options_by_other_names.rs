use pglock::Error;
use postgres::Client;

#[pglock::advisory(name = "report")]
fn name() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", timeout = 0, on_busy = "skip")]
fn on_busy() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", connection = conn)]
fn connection(conn: &mut Client) -> Result<(), Error> {
    let _ = conn;
    Ok(())
}

#[pglock::advisory("report", database = "reports")]
fn database() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", retries = 3)]
fn retries() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", once = "1h")]
fn once() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", hold = "1h")]
fn one_of_two() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", fence)]
fn flag() -> Result<(), Error> {
    Ok(())
}

fn main() {
    let _ = (name, on_busy, connection, database, retries, once, one_of_two, flag);
}
