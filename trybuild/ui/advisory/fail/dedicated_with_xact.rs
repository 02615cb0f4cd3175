#[pglock::advisory(xact, dedicated = true)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
