#[pglock::advisory(timeout = None, side_effect = pglock::Skip(Ok(())))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
