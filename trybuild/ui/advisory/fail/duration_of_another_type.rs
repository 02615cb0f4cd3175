#[pglock::advisory(timeout = 2u64 + 1)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
