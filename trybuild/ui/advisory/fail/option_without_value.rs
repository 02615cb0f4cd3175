#[pglock::advisory("report", timeout)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
