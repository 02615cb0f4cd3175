#[pglock::advisory("report:{self.id}")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
