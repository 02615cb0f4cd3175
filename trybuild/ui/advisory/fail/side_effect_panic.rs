#[pglock::advisory(timeout = 0, side_effect = Panic)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
