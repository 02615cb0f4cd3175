//! One round: processes are started, and troubled until its end; then nothing may be held, and the checker reads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use pglock_tests::{Server, TestDb};
use tempfile::TempDir;

use crate::checker::{Violation, violations};
use crate::faults::Faults;
use crate::history::History;
use crate::log::now;
use crate::processes::Processes;
use crate::report::{Counts, describe, told_of_call};
use crate::schedule::Order;
use crate::schedule::troubles::troubles;

/// How many processes there are at a time.
const PLACES: usize = 3;

/// How long the server may take to be rid of what nobody asked to wait for: it looks for clients that are gone every second.
const LEFT_BOUND: Duration = Duration::from_secs(10);

/// How many violations are told in full.
const TOLD: usize = 5;

pub(crate) struct Round<'s> {
    server: &'s Server,
    db: &'s TestDb,
    seed: u64,
    /// Where the processes write; kept when the round fails.
    logs: Option<TempDir>,
}

impl<'s> Round<'s> {
    pub(crate) fn new(server: &'s Server, db: &'s TestDb, seed: u64) -> Self {
        let logs = tempfile::Builder::new().prefix("pglock-soak-").tempdir();
        Self {
            server,
            db,
            seed,
            logs: Some(logs.expect("can't make a folder")),
        }
    }

    pub(crate) fn run(mut self, length: Duration) -> Counts {
        let from = now();
        let logs = self.logs.as_ref().expect("there until the end").path();
        let (mut processes, mut rng) =
            Processes::start(self.db, logs, from + length, PLACES, self.seed);
        let mut faults = Faults::new(self.server, self.db);
        for (at, trouble) in troubles(&mut rng, length, PLACES) {
            sleep((from + at).saturating_sub(now()));
            faults.make(trouble, &mut processes);
        }
        // While the processes live: with them, all that they hold would be gone.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            processes.wait_until_idle();
            self.db.wait_for_no_locks_within(LEFT_BOUND);
        }));
        if let Err(panic) = ended {
            for session in faults.sessions() {
                eprintln!("soak: {session}");
            }
            for call in processes.open_calls() {
                eprintln!("soak: has not returned: {}", told_of_call(&call));
            }
            resume_unwind(panic);
        }
        processes.end();

        let mut history = History::of(faults.noted);
        history.in_order = Order::of_round(self.seed) == Order::Ascending;
        processes.read_logs(&mut history);
        let found = violations(&history);
        assert!(found.is_empty(), "{}", tell(&history, &found, logs));
        self.logs = None;
        Counts::of(&history)
    }
}

fn tell(history: &History, found: &[Violation<'_>], logs: &Path) -> String {
    let told: Vec<_> = found
        .iter()
        .take(TOLD)
        .map(|violation| describe(history, violation))
        .collect();
    format!(
        "{} violations, of which the first are:\n{}\nall is in {}",
        found.len(),
        told.join("\n"),
        logs.display()
    )
}

impl Drop for Round<'_> {
    /// Tells how to repeat a round that failed, whatever the reason.
    fn drop(&mut self) {
        let Some(logs) = self.logs.take() else {
            return;
        };
        let _ = logs.keep();
        eprintln!(
            "soak: failed with seed {seed}; to repeat this round: ./dev soak --seed {seed}",
            seed = self.seed
        );
    }
}
