#[pglock::advisory]
#[pglock::advisory(shared)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
