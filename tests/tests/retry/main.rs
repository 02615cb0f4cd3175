//! Retries of what waits for locks: how long each try waits, what ends the retry, and what others see meanwhile.

mod attribute;
mod errors;
mod nonblocking;
mod tries;

use std::time::Duration;

use pglock::{Database, RetryLocks};
use pglock_tests::{TestDb, apart, pid_of};
use postgres::Client;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What a migration does that has to wait for the table.
const ALTER: &str = "ALTER TABLE orders ADD total numeric";

fn retry(db: &TestDb) -> RetryLocks {
    pglock::retry_locks().using(Database::builder(db.url()).build().unwrap())
}

fn database() -> TestDb {
    let db = pglock_tests::database();
    db.execute("CREATE TABLE orders ()");
    db
}

fn lock_timeout(client: &mut Client) -> String {
    client.query_one("SHOW lock_timeout", &[]).unwrap().get(0)
}

/// A session that has the table, as a long transaction has it. It can be used inside a runtime too.
struct Report {
    pid: i32,
    client: Option<Client>,
}

impl Report {
    fn begin(db: &TestDb) -> Report {
        apart(|| {
            let mut client = db.connect_as("report");
            let pid = pid_of(&mut client);
            client.batch_execute("BEGIN; SELECT FROM orders").unwrap();
            Report {
                pid,
                client: Some(client),
            }
        })
    }

    fn commit(&mut self) -> Result<(), postgres::Error> {
        let client = self.client.as_mut().unwrap();
        apart(|| client.batch_execute("COMMIT"))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let client = self.client.take();
        apart(|| drop(client));
    }
}

/// Whether the holder that an error names is that session.
#[track_caller]
fn assert_names(error: &pglock::Error, report: &Report) {
    assert!(error.is_busy(), "{error:?}");
    let holder = error.holder().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(holder.pid, report.pid);
    assert_eq!(holder.application_name, "report");
    let text = format!("{error}");
    assert!(text.contains(&report.pid.to_string()), "{text}");
}

/// Long enough for any poll.
const SECOND: Duration = Duration::from_secs(1);
