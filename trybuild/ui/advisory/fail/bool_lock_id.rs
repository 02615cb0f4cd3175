#[pglock::advisory(true)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
