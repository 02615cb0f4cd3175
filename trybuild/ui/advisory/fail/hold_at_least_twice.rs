#[pglock::advisory(hold_at_least = "1s", hold_at_least = "2s")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
