#[pglock::advisory(shared, xact, shared = true)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
