#[pglock::advisory(timeout = 0, side_effect = Terminate)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
