#[pglock::advisory(timeout = 0, timeout = "2s")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
