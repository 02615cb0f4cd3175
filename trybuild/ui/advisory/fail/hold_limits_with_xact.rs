#[pglock::advisory(xact, hold_at_least = "30s", hold_at_most = "10m")]
async fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
