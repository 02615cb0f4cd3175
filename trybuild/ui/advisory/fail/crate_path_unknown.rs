#[pglock::advisory(crate = crate::nowhere)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
