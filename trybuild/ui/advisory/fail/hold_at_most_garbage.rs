#[pglock::advisory(hold_at_most = "soon")]
async fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
