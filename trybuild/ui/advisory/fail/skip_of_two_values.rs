#[pglock::advisory(timeout = 0, side_effect = Skip(1, 2))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
