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
use postgres::error::SqlState;

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

/// A session that runs these statements on a thread of its own. Each but the first has to be canceled.
struct Busy {
    pid: i32,
    thread: JoinHandle<bool>,
}

const SLEEP: &str = "SELECT pg_sleep(600)";

impl Busy {
    /// One that has run `first`, and sleeps again whenever it is canceled.
    fn new(db: &TestDb, first: &'static str) -> Busy {
        Busy::running(db, std::iter::once(first).chain(std::iter::repeat(SLEEP)))
    }

    fn running(
        db: &TestDb,
        statements: impl IntoIterator<Item = &'static str, IntoIter: Send + 'static>,
    ) -> Busy {
        let mut statements = statements.into_iter();
        let is_done = |client: &mut Client, statement| match client.batch_execute(statement) {
            Err(error) => error.code() == Some(&SqlState::QUERY_CANCELED),
            Ok(()) => statement != SLEEP,
        };
        let (pid, thread) = in_background(db, move |client| {
            statements.all(|statement| is_done(client, statement))
        });
        let busy = Busy { pid, thread };
        busy.wait_until_it_sleeps(db);
        busy
    }

    fn wait_until_it_sleeps(&self, db: &TestDb) {
        let mut client = db.connect();
        wait_until("it sleeps", BOUND, || {
            let sql = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
            !client.query(sql, &[&self.pid]).unwrap().is_empty()
        });
    }

    /// Cancels what it does.
    fn next(&self, db: &TestDb) {
        self.wait_until_it_sleeps(db);
        db.execute(&format!("SELECT pg_cancel_backend({})", self.pid));
    }

    fn was_terminated(self) {
        wait_until("it has ended", BOUND, || self.thread.is_finished());
        assert!(!self.thread.join().unwrap());
    }

    /// It has got through all of its statements.
    fn was_not_terminated(self) {
        wait_until("it has ended", BOUND, || self.thread.is_finished());
        assert!(self.thread.join().unwrap());
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
fn in_background<T: Send + 'static>(
    db: &TestDb,
    work: impl FnOnce(&mut Client) -> T + Send + 'static,
) -> (i32, JoinHandle<T>) {
    let mut client = db.connect_as("section");
    let pid = pid_of(&mut client);
    (pid, std::thread::spawn(move || work(&mut client)))
}
