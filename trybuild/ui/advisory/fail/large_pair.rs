#[pglock::advisory((1, 2_147_483_648))]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
