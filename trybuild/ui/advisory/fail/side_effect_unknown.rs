#[pglock::advisory(timeout = 0, side_effect = Skp)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
