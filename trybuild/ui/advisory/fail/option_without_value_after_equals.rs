#[pglock::advisory("report", timeout = , shared)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
