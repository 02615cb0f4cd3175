#[pglock::advisory(timeout = 0, side_effect = "skip")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
