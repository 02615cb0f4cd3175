//! Prioritized sections: which sessions are signaled, how soon, by whom, and what is reported.

mod attribute;
mod background;
mod contexts;
mod kinds;
mod queued;
mod races;
mod scopes;
mod settings;
mod side_effects;
mod spared;
mod watcher;

use std::thread::JoinHandle;
use std::time::Duration;

use pglock::{Database, Prioritize};
use pglock_tests::{BOUND, TestDb, apart, wait_until};
use postgres::Client;

/// How often the sections of these tests are polled.
const INTERVAL: Duration = Duration::from_millis(100);

/// The interval where there is one poll only: by then the section waits, on a loaded machine too.
const ONE_POLL: Duration = Duration::from_secs(1);

fn here(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

fn prioritize(db: &TestDb) -> Prioritize {
    pglock::prioritize().interval(INTERVAL).using(here(db))
}

/// A session that has run some statements, and idles. It can be used inside a runtime too.
struct Blocker {
    pid: i32,
    // Its end would free what it holds.
    client: Option<Client>,
}

impl Blocker {
    fn new(db: &TestDb, statements: &str) -> Blocker {
        Blocker::named(db, "blocker", statements)
    }

    fn named(db: &TestDb, application_name: &str, statements: &str) -> Blocker {
        apart(|| {
            let mut client = db.connect_as(application_name);
            let pid = pid_of(&mut client);
            client.batch_execute(statements).unwrap();
            Blocker {
                pid,
                client: Some(client),
            }
        })
    }

    fn execute(&mut self, statements: &str) -> Result<(), postgres::Error> {
        let client = self.client.as_mut().unwrap();
        apart(|| client.batch_execute(statements))
    }

    fn is_alive(&mut self) -> bool {
        self.execute("SELECT 1").is_ok()
    }

    fn was_terminated(mut self) {
        assert!(!self.is_alive());
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        let client = self.client.take();
        apart(|| drop(client));
    }
}

fn pid_of(client: &mut Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}

fn is_alive(db: &TestDb, pid: i32) -> bool {
    let mut client = db.connect();
    let rows = client.query("SELECT FROM pg_stat_activity WHERE pid = $1", &[&pid]);
    !rows.unwrap().is_empty()
}

/// Whether the session waits for a lock.
fn waits(db: &TestDb, pid: i32) -> bool {
    db.blocked_pids().contains(&pid)
}

fn wait_until_it_waits(db: &TestDb, pid: i32) {
    wait_until("it waits", BOUND, || waits(db, pid));
}

/// A session that waits for what others have, on a thread of its own.
fn in_background(
    db: &TestDb,
    work: impl FnOnce(&mut Client) + Send + 'static,
) -> (i32, JoinHandle<()>) {
    let mut client = db.connect_as("section");
    let pid = pid_of(&mut client);
    (pid, std::thread::spawn(move || work(&mut client)))
}
