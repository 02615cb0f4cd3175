#[pglock::advisory(shared = 1)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
