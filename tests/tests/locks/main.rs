//! The locks that there are: what is told of them, filters, and canceling and ending the sessions behind them.

mod actions;
mod configs;
mod filters;
mod kinds;
mod listing;

use std::thread::JoinHandle;

use pglock_tests::{BOUND, TestDb, wait_until};
use postgres::Client;
use tokio_postgres::error::SqlState;

fn pid_of(client: &mut Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}

/// A session whose statement waits for a lock, on a thread of its own.
struct Waiter {
    pid: i32,
    thread: JoinHandle<Result<(), postgres::Error>>,
}

impl Waiter {
    fn start(db: &TestDb, statements: &str) -> Waiter {
        let mut client = db.connect_as("waiter");
        let pid = pid_of(&mut client);
        let statements = statements.to_owned();
        let thread = std::thread::spawn(move || client.batch_execute(&statements));
        wait_until("it waits", BOUND, || db.blocked_pids().contains(&pid));
        Waiter { pid, thread }
    }

    /// Waits until it has got its lock, and is done.
    fn finish(self) {
        self.thread.join().unwrap().unwrap();
    }

    fn was_canceled(self) {
        let error = self.thread.join().unwrap().unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    }
}
