#[pglock::advisory("report" timeout = 0)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
