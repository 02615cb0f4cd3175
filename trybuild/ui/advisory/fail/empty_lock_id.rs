#[pglock::advisory("")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
