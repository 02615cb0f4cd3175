#![deny(warnings, clippy::pedantic)]

use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(3300);

#[pglock::advisory("digest-{customer}", timeout = 0, side_effect = Skip, once_in = "55m")]
fn digest(customer: u32) -> Result<(), pglock::Error> {
    let _ = customer;
    Ok(())
}

#[pglock::advisory(once_in = PERIOD, fenced)]
async fn both() -> Result<u64, pglock::Error> {
    pglock::token()
}

fn main() {
    let _ = digest;
    drop(both());
}
