#[pglock::leader("scheduler")]
fn schedule() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
