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

// Of those that read beside each other, one does so each hour.
#[pglock::advisory("report", shared, once_in = "55m")]
fn reads() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory("ledger", fenced, shared = false)]
fn is_not_shared() -> Result<u64, pglock::Error> {
    pglock::token()
}

#[pglock::advisory("ledger", fenced = false, shared)]
fn has_no_token() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {
    let _ = (digest, reads, is_not_shared, has_no_token);
    drop(both());
}
