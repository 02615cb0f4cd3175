#[pglock::advisory(timeout = 0, side_effect = Return)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
