#[pglock::advisory(timeout = "2")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
