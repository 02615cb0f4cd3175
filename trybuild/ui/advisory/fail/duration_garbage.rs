#[pglock::advisory(timeout = "soon")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
