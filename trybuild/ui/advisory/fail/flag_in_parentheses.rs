#[pglock::advisory(shared(true))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
