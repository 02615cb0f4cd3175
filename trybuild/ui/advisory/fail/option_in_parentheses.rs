#[pglock::advisory("report", timeout("2s"))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
