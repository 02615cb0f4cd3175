#[pglock::advisory(timeout = "25days")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
