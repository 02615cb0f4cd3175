#[pglock::advisory(on_error = "Panic")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
