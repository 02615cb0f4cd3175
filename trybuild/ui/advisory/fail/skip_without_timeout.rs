#[pglock::advisory(side_effect = Skip)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
