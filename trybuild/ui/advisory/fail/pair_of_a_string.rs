#[pglock::advisory(("report", 1))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
