//! The binary, against real servers.

mod acting;
mod arguments;
mod django;
mod doctor;
mod formats;
mod guard;
mod looking;
mod names;
mod pictures;
mod run;
mod setting_up;
mod started;
#[cfg_attr(
    not(feature = "watch"),
    allow(dead_code, reason = "most of it is for `watch`")
)]
mod terminal;
#[cfg(feature = "watch")]
mod watch;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pglock_tests::{BOUND, TestDb};

use started::Started;

/// What would change what it does.
const VARIABLES: [&str; 10] = [
    "PGLOCK_DATABASE",
    "PGLOCK_CONFIG",
    "PGLOCK_READ_ONLY",
    "PGLOCK_LIMIT",
    "PGLOCK_ATTRIBUTES",
    "PGLOCK_BLOCKING_ATTRIBUTES",
    "PGLOCK_NAMES",
    "PGLOCK_WITHIN",
    "NO_COLOR",
    "DATABASE_URL",
];

/// The command on that database, in a folder without a `pglock.toml`.
fn pglock(db: &TestDb) -> Command {
    let mut command = bare();
    command.env("DATABASE_URL", db.url());
    command
}

/// The command without a database.
fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pglock"));
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.current_dir(Path::new("/"));
    command.stdin(Stdio::null());
    command
}

/// What it said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn said(command: &mut Command) -> Said {
    // Some wait for servers, and for what they run.
    Started::start(command).end(6 * BOUND)
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// With these arguments, on that database.
fn on(db: &TestDb, arguments: &[&str]) -> Said {
    said(pglock(db).args(arguments))
}

/// Two sessions on a table, of which the second waits for the first.
struct Blocked {
    db: TestDb,
    holder: postgres::Client,
    holder_pid: i32,
    waiter: pglock_tests::Waiter,
}

impl Blocked {
    fn on_orders() -> Self {
        let db = pglock_tests::database();
        db.execute("CREATE TABLE orders (id int)");
        let mut holder = db.connect_as("report");
        holder
            .batch_execute("BEGIN; SELECT count(*) FROM orders")
            .unwrap();
        let holder_pid = pglock_tests::pid_of(&mut holder);
        let waiter = pglock_tests::Waiter::of(
            &db,
            db.connect_as("migration"),
            "ALTER TABLE orders ADD note text",
        );
        Self {
            db,
            holder,
            holder_pid,
            waiter,
        }
    }

    /// Lets the second go on. The database ends all sessions with it.
    fn end(mut self) -> TestDb {
        self.holder.batch_execute("ROLLBACK").unwrap();
        self.waiter.finish();
        self.db
    }
}
