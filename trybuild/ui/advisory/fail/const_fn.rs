#[pglock::advisory]
const fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
