#[pglock::advisory(timeot = "2s")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
