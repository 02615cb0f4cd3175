use std::time::Duration;

use postgres::{Client, Transaction};

fn several(client: &mut Client) {
    let both = || pglock::advisory_all(["a", "b"]);
    let _ = both().once_in(Duration::from_secs(60));
    let _ = both().on(client);
}

fn in_a_transaction(transaction: &mut Transaction<'_>) {
    let _ = pglock::advisory("a").xact().fenced();
    let _ = pglock::advisory("a").xact().acquire_xact(transaction);
    let _ = pglock::advisory("a").xact().hold_at_least(Duration::from_secs(1));
}

fn main() {}
