#[pglock::advisory((1, 2, 3))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
