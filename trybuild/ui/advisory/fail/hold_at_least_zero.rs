#[pglock::advisory(hold_at_least = 0)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
