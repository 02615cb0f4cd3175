#[pglock::advisory(hold_at_least = "1year")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
