#[pglock::advisory(hold_at_most = "0s")]
async fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
