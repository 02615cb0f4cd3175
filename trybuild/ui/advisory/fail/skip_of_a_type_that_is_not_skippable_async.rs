#[pglock::advisory(timeout = 0, side_effect = Skip)]
async fn report() -> Result<u32, pglock::Error> {
    Ok(1)
}

fn main() {}
