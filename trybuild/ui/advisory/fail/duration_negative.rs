#[pglock::advisory(timeout = -1)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
