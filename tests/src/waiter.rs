//! A session that waits for a lock.

use std::thread::JoinHandle;

use postgres::Client;
use postgres::error::SqlState;

use crate::database::TestDb;
use crate::wait::{BOUND, wait_until};

/// The backend of a connection.
#[track_caller]
pub fn pid_of(client: &mut Client) -> i32 {
    let row = client.query_one("SELECT pg_backend_pid()", &[]);
    row.expect("can't ask for the pid").get(0)
}

/// A session whose statement waits for a lock, on a thread of its own.
#[derive(Debug)]
pub struct Waiter {
    /// Its backend.
    pub pid: i32,
    thread: JoinHandle<Result<(), postgres::Error>>,
}

impl Waiter {
    /// Runs statements of which one waits, in a new session, and returns when it does.
    #[must_use]
    #[track_caller]
    pub fn start(db: &TestDb, statements: &str) -> Waiter {
        Waiter::of(db, db.connect_as("waiter"), statements)
    }

    /// The same in a session that is there already, and may hold locks.
    #[must_use]
    #[track_caller]
    pub fn of(db: &TestDb, mut client: Client, statements: &str) -> Waiter {
        let pid = pid_of(&mut client);
        let statements = statements.to_owned();
        let thread = std::thread::spawn(move || client.batch_execute(&statements));
        let mut waits = false;
        wait_until("it waits", BOUND, || {
            waits = db.blocked_pids().contains(&pid);
            waits || thread.is_finished()
        });
        assert!(waits, "it did not wait: {:?}", thread.join());
        Waiter { pid, thread }
    }

    /// Waits until it has got its lock, and is done.
    #[track_caller]
    pub fn finish(self) {
        self.outcome().expect("it waited in vain");
    }

    /// Waits until its statements have failed because they were canceled.
    #[track_caller]
    pub fn was_canceled(self) {
        let error = self.outcome().expect_err("it was not canceled");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    }

    #[track_caller]
    fn outcome(self) -> Result<(), postgres::Error> {
        self.thread.join().expect("its thread panicked")
    }
}
