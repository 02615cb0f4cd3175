#[pglock::advisory(hold_at_most = "10m")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
