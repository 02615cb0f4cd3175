#[pglock::advisory]
#[pglock::advisory = "report"]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
