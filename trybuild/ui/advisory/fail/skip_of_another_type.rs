#[pglock::advisory(timeout = 0, side_effect = Skip(false))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
