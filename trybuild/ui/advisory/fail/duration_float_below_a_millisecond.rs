#[pglock::advisory(timeout = 0.0001)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
