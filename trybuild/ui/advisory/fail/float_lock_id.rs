#[pglock::advisory(1.5)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
