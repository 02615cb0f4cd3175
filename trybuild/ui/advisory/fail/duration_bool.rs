#[pglock::advisory(timeout = true)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
