#[pglock::advisory(hold_at_least = "11m", hold_at_most = "10m")]
async fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
