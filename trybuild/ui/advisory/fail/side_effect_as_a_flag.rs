#[pglock::advisory("report", timeout = 0, skip)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
