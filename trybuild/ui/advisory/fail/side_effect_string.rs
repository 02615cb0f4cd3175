#[pglock::advisory(timeout = 0, side_effect = "Skip")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
