#[pglock::advisory("report", "2s")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
