#![deny(warnings, clippy::pedantic)]

use pglock::{LockId, advisory};

const AUDIT: &str = "audit";

#[advisory(all("account-{from}", "account-{to}"), timeout = "2s")]
fn transfer(from: u32, to: u32) -> Result<(), pglock::Error> {
    let _ = (from, to);
    Ok(())
}

#[advisory(lock_id = all(7, (1, 2), AUDIT, LockId::hashtext("old"), name.clone()), shared, dedicated)]
async fn of_all_kinds(name: String) -> Result<usize, pglock::Error> {
    Ok(name.len())
}

fn main() {
    let _ = transfer;
    drop(of_all_kinds(String::new()));
}
