#[pglock::advisory(42u64)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
