use pglock::Error;

#[pglock::advisory("report", Skip)]
fn skip() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory(Skip(Ok(0)), timeout = 0)]
fn skip_first() -> Result<u8, Error> {
    Ok(1)
}

#[pglock::advisory("report", Panic)]
fn panic() {}

#[pglock::advisory("report", None)]
fn none() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", shard)]
fn flag() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("report", "morning")]
fn text() -> Result<(), Error> {
    Ok(())
}

fn main() {
    let _ = (skip, skip_first, panic, none, flag, text);
}
