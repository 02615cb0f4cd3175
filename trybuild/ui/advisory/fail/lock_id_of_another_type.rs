#[pglock::advisory(Some(42))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
