#[pglock::advisory(timeout = "500us")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
