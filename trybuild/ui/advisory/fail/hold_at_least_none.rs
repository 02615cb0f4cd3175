#[pglock::advisory(hold_at_least = None)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
