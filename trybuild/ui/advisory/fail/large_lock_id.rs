#[pglock::advisory(9_223_372_036_854_775_808)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
