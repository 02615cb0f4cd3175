#[pglock::advisory]
fn report() -> Result<(), pglock::Error> {
    let _one = 1
    Ok(())
}

fn main() {}
