//! `guard`: a command of another program, whose sessions nobody keeps waiting for long.

use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use pglock_tests::{BOUND, TestDb, Waiter, child, database, pid_of, wait_until};
use rustix::process::Signal;

use super::started::Started;
use super::{Said, on, pglock, said};

/// What the command runs: this test, as a program that migrates. It uses libpq, which takes the name of its sessions and
/// their settings from the environment, as migration tools do.
const MIGRATES: &str = "guard::who_is_in_the_way_is_terminated_and_reported";

fn migrate() {
    let mut connection = PgConnection::establish(&child::argument("URL")).unwrap();
    if let Err(error) = connection.batch_execute(&child::argument("STATEMENT")) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn migrates(command: &mut Command, db: &TestDb, statement: &str) {
    command
        .arg(std::env::current_exe().unwrap())
        .args([MIGRATES, "--exact", "--nocapture"]);
    command.env("PGLOCK_TEST_ROLE", "migrates");
    command.env("PGLOCK_TEST_ARGUMENT_URL", db.url());
    command.env("PGLOCK_TEST_ARGUMENT_STATEMENT", statement);
}

fn guard(db: &TestDb, options: &[&str], statement: &str) -> Command {
    let mut command = pglock(db);
    command.arg("guard").args(options);
    command.args(["--after", "200ms", "--interval", "50ms", "--"]);
    migrates(&mut command, db, statement);
    command
}

/// A session that keeps others from changing the table, idle in its transaction.
fn in_the_way(db: &TestDb) -> postgres::Client {
    db.execute("CREATE TABLE IF NOT EXISTS orders (id int)");
    let mut client = db.connect_as("report");
    client
        .batch_execute("BEGIN; SELECT count(*) FROM orders")
        .unwrap();
    client
}

const ALTER: &str = "ALTER TABLE orders ADD note text";

#[test]
fn who_is_in_the_way_is_terminated_and_reported() {
    if child::role().is_some() {
        return migrate();
    }
    let db = database();
    let mut report = in_the_way(&db);
    let pid = pid_of(&mut report);
    let told = said(&mut guard(&db, &["--terminate"], ALTER));
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.err
            .contains(&format!("blocking: pid {pid} (\"report\")")),
        "{}",
        told.err
    );
    assert!(told.err.contains("terminated"), "{}", told.err);
    assert!(report.batch_execute("SELECT 1").is_err());
}

#[test]
fn what_escalates_ends_an_idle_transaction_at_once() {
    let db = database();
    let _report = in_the_way(&db);
    let told = said(&mut guard(&db, &["--escalate", "--grace", "60s"], ALTER));
    assert_eq!(told.code, 0, "{told:?}");
}

#[test]
fn what_cancels_leaves_an_idle_transaction_and_lock_timeout_ends_the_wait() {
    let db = database();
    let mut report = in_the_way(&db);
    let told = said(&mut guard(
        &db,
        &["--cancel", "--lock-timeout", "1s"],
        ALTER,
    ));
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("lock timeout"), "{}", told.err);
    report.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_running_statement_is_canceled() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let client = db.connect_as("report");
    let running = std::thread::spawn(move || {
        let mut client = client;
        client.batch_execute("BEGIN; LOCK TABLE orders; SELECT pg_sleep(60)")
    });
    wait_until("it has the table", BOUND, || {
        db.connect()
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass)",
                &[],
            )
            .unwrap()
            .get(0)
    });
    let told = said(&mut guard(&db, &["--cancel"], ALTER));
    assert_eq!(told.code, 0, "{told:?}");
    assert!(running.join().unwrap().is_err());
}

#[test]
fn a_dry_run_says_who_would_be_hit() {
    let db = database();
    let mut report = in_the_way(&db);
    let told = said(&mut guard(
        &db,
        &["--terminate", "--dry-run", "--lock-timeout", "1s"],
        ALTER,
    ));
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("would be terminated"), "{}", told.err);
    report.batch_execute("SELECT 1").unwrap();
}

#[test]
fn others_who_wait_are_not_guarded_and_filters_spare() {
    let db = database();
    let mut report = in_the_way(&db);
    let waiter = Waiter::of(&db, db.connect_as("somebody else"), ALTER);
    let told = said(&mut guard(&db, &["--terminate"], "SELECT pg_sleep(1)"));
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("nobody blocked it"), "{}", told.err);
    report.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
    let mut report = in_the_way(&db);
    let spare = [
        "--terminate",
        "-x",
        "blocking_activity__application_name=report",
        "--lock-timeout",
        "1s",
    ];
    let told = said(&mut guard(&db, &spare, "ALTER TABLE orders ADD other text"));
    assert_eq!(told.code, 1, "{told:?}");
    let pid = pid_of(&mut report);
    says_why(&told, pid, "-f or -x leaves it out");
    report.batch_execute("SELECT 1").unwrap();
}

#[test]
fn applications_of_the_never_list_are_spared() {
    let db = database();
    let mut report = in_the_way(&db);
    let folder = tempfile::tempdir().unwrap();
    let never = "never_application = [\"report\"]";
    std::fs::write(folder.path().join("pglock.toml"), never).unwrap();
    let options = ["--terminate", "--lock-timeout", "1s"];
    let told = said(guard(&db, &options, ALTER).current_dir(folder.path()));
    assert_eq!(told.code, 1, "{told:?}");
    says_why(&told, pid_of(&mut report), "`never_application`");
    report.batch_execute("SELECT 1").unwrap();
}

/// That the session blocked the command, and why nothing was done.
#[track_caller]
fn says_why(told: &Said, pid: i32, why: &str) {
    let blocked = format!("pglock: pid {pid} (\"report\") of user ");
    let line = told.err.lines().find(|line| line.starts_with(&blocked));
    let says = line.is_some_and(|line| line.contains("nothing was done") && line.contains(why));
    assert!(
        says && !told.err.contains("nobody blocked it"),
        "{}",
        told.err
    );
}

#[test]
fn who_blocked_for_too_short_a_time_is_told_of() {
    let db = database();
    let mut report = in_the_way(&db);
    let options = ["--terminate", "--after", "10min", "--lock-timeout", "1s"];
    let mut command = pglock(&db);
    command.arg("guard").args(options);
    command.args(["--interval", "50ms", "--"]);
    migrates(&mut command, &db, ALTER);
    let told = said(&mut command);
    assert_eq!(told.code, 1, "{told:?}");
    says_why(&told, pid_of(&mut report), "--after is 10 min");
}

#[test]
fn who_blocked_and_may_not_be_signaled_is_told_of() {
    let db = database();
    let role = format!("{}_plain", db.name());
    db.execute(&format!(
        "CREATE ROLE {role} LOGIN; CREATE TABLE orders (id int); ALTER TABLE orders OWNER TO {role}"
    ));
    let mut report = in_the_way(&db);
    let (_, server) = db.url().split_once('@').unwrap();
    let url = format!("postgres://{role}@{server}");
    let options = ["--terminate", "--lock-timeout", "1s"];
    let mut command = guard(&db, &options, ALTER);
    command.env("DATABASE_URL", &url);
    command.env("PGLOCK_TEST_ARGUMENT_URL", &url);
    let told = said(&mut command);
    assert_eq!(told.code, 1, "{told:?}");
    says_why(&told, pid_of(&mut report), "pg_read_all_stats");
    db.execute(&format!("GRANT pg_read_all_stats TO {role}"));
    let told = said(
        guard(&db, &options, ALTER)
            .env("DATABASE_URL", &url)
            .env("PGLOCK_TEST_ARGUMENT_URL", &url),
    );
    assert!(told.err.contains("our role may not signal it"), "{told:?}");
    report.batch_execute("ROLLBACK").unwrap();
    db.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A statement that waits for something else than its client does not notice that the client is gone.
#[test]
fn the_statement_of_a_command_that_was_ended_is_canceled() {
    let db = database();
    let mut report = in_the_way(&db);
    let options = ["--terminate", "-x", "blocking_activity__pid__gt=0"];
    let mut running = Started::start(&mut guard(&db, &options, ALTER));
    wait_until("it waits", BOUND, || db.blocked_pids().len() == 1);
    running.signal(Signal::TERM);
    let told = running.end(BOUND);
    assert_eq!(told.code, 143, "{told:?}");
    assert!(
        told.err
            .contains("the command has ended, but not its statement")
            && told.err.contains("canceled"),
        "{told:?}"
    );
    assert!(db.blocked_pids().is_empty());
    report.batch_execute("ROLLBACK").unwrap();
    let altered = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note'";
    let altered: i64 = report.query_one(altered, &[]).unwrap().get(0);
    assert_eq!(altered, 0);
}

/// Others may have the name as well.
#[test]
fn with_a_name_of_its_own_the_statement_is_only_told_of() {
    let db = database();
    let mut report = in_the_way(&db);
    let mut command = pglock(&db);
    command.args([
        "guard",
        "--terminate",
        "--app",
        "migration",
        "--after",
        "10min",
        "--",
    ]);
    command.args(["sh", "-c", "echo started; exec sleep 60"]);
    let mut running = Started::start(&mut command);
    let waiter = Waiter::of(&db, db.connect_as("migration"), ALTER);
    wait_until("it runs", BOUND, || running.out().contains("started"));
    running.signal(Signal::TERM);
    let told = running.end(BOUND);
    let cancel = format!("`pglock cancel {}`", waiter.pid);
    assert!(told.code == 143 && told.err.contains(&cancel), "{told:?}");
    report.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
}

#[test]
fn a_command_that_names_its_sessions_itself_is_told_of() {
    let db = database();
    let told = on(&db, &["guard", "--terminate", "--", "true"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("--app"), "{}", told.err);
}

#[test]
fn its_own_failures_have_a_code_of_their_own() {
    let db = database();
    assert_eq!(on(&db, &["guard", "--", "true"]).code, 125);
    assert_eq!(
        on(
            &db,
            &["guard", "--terminate", "-f", "colour=red", "--", "true"]
        )
        .code,
        125
    );
    let read_only = on(&db, &["--read-only", "guard", "--terminate", "--", "true"]);
    assert!(
        read_only.code == 125 && read_only.err.contains("read-only"),
        "{read_only:?}"
    );
    let option = on(&db, &["guard", "--terminate", "-t", "5s", "true"]);
    assert!(
        option.code == 125 && option.err.contains("`-t` stands where the command begins"),
        "{option:?}"
    );
    assert_eq!(
        on(&db, &["guard", "--terminate", "--", "/nonexistent"]).code,
        127
    );
    assert_eq!(
        on(&db, &["guard", "--terminate", "--", "sh", "-c", "exit 7"]).code,
        7
    );
}

/// As it is meant to be used: one replica at a time, and nobody in its way for long.
#[test]
fn a_migration_is_run_once_and_unhindered() {
    let db = database();
    let _report = in_the_way(&db);
    let mut command = pglock(&db);
    command.args([
        "run",
        "migrations",
        "-w",
        "60s",
        "--",
        env!("CARGO_BIN_EXE_pglock"),
    ]);
    command.args([
        "guard",
        "--terminate",
        "--after",
        "100ms",
        "--interval",
        "50ms",
        "--",
    ]);
    migrates(&mut command, &db, ALTER);
    let told = said(&mut command);
    assert_eq!(told.code, 0, "{told:?}");
    db.wait_for_no_locks();
}
