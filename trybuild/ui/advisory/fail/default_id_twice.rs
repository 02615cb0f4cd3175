use pglock::advisory as lock;

#[pglock::advisory]
#[pglock::advisory(shared)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory]
#[lock(shared)]
fn by_another_name() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
