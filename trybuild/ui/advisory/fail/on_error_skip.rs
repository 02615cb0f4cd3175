#[pglock::advisory(timeout = 0, on_error = Skip)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
