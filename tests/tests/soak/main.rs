//! The soak: processes take locks by a random schedule, while sessions are terminated, statements canceled, processes
//! killed and stopped, the server's lock table is full, and the server is restarted; and a checker reads what they have
//! written down.
//!
//! It runs in rounds. The schedule of each follows from its seed alone: what every worker does, and what is done to
//! them when. Real time does not, and so who meets whom differs from run to run: a failure may need several rounds with
//! the same seed to come again.
//!
//! `PGLOCK_SOAK_SECONDS` and `PGLOCK_SOAK_SEED` say how long, and with which seed; `./dev soak` sets both.

mod checker;
mod faults;
mod history;
mod locks;
mod log;
mod processes;
mod report;
mod round;
mod schedule;
mod worker;

use std::time::{Duration, Instant};

use pglock_tests::{Server, child};

use crate::report::Counts;
use crate::round::Round;

const SECONDS: u64 = 60;
const SEED: u64 = 1;

/// So short that a failure is found soon, and its log can be read.
const ROUND: Duration = Duration::from_secs(15);

#[test]
fn soak() {
    if child::role().is_some() {
        return worker::run();
    }
    let length = Duration::from_secs(number("PGLOCK_SOAK_SECONDS").unwrap_or(SECONDS));
    let seed = number("PGLOCK_SOAK_SEED").unwrap_or(SEED);
    println!("soak: {length:?} from seed {seed}");
    // More of the deadlocks that are certain to come are seen to, and fewer time out.
    let server = Server::builder()
        .setting("deadlock_timeout", "50ms")
        // So that it is full soon: some thousand locks.
        .setting("max_locks_per_transaction", "10")
        .start();
    let db = server.create_database();
    let began = Instant::now();
    let mut counts = Counts::default();
    for seed in seed.. {
        if began.elapsed() >= length {
            break;
        }
        // The n-th round is the first one of that many seeds later, so that one can be repeated alone.
        let round = Round::new(&server, &db, seed).run(ROUND.min(length));
        println!(
            "soak: {:>4} s, seed {seed}: {round}",
            began.elapsed().as_secs()
        );
        counts.add(&round);
    }
    println!("soak: in all {counts}");
    counts.assert_all_seen(length);
    println!(
        "soak: none that exclude each other overlapped, no loss was silent, nothing is left held"
    );
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}
