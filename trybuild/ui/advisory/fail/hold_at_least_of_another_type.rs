#[pglock::advisory(hold_at_least = Some(std::time::Duration::from_secs(1)))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
