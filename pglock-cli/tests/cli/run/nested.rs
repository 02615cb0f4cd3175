//! `run` inside `run`: for its own lock it would wait for itself.

use std::os::unix::process::CommandExt as _;

use pglock_tests::{TestDb, database};
use rustix::process::geteuid;

use super::super::{on, pglock, said};

#[test]
fn inside_itself_it_is_refused() {
    let db = database();
    let pglock = env!("CARGO_BIN_EXE_pglock");
    let inner = on(
        &db,
        &["run", "job", "--", pglock, "run", "job", "--", "true"],
    );
    assert_eq!(inner.code, 125, "{inner:?}");
    assert!(inner.err.contains("would wait for itself"), "{}", inner.err);
    assert_eq!(
        on(
            &db,
            &["run", "job", "--", pglock, "run", "other", "--", "true"]
        )
        .code,
        0
    );
}

#[test]
fn what_shares_or_is_elsewhere_is_not_inside_itself() {
    let (db, other) = (database(), database());
    let pglock = env!("CARGO_BIN_EXE_pglock");
    let shared = [
        "run", "-s", "job", "--", pglock, "run", "-s", "job", "--", "true",
    ];
    assert_eq!(on(&db, &shared).code, 0);
    let elsewhere = [
        "run",
        "job",
        "--",
        pglock,
        "-d",
        other.url(),
        "run",
        "job",
        "--",
        "true",
    ];
    assert_eq!(on(&db, &elsewhere).code, 0);
    let between = [
        "run", "a", "--", pglock, "run", "b", "--", pglock, "run", "a", "--", "true",
    ];
    assert_eq!(on(&db, &between).code, 125);
    // Left over from one that has ended.
    let left_over = "sh -c \"$0 run job -- env\" | grep -A1 ^PGLOCK_WITHIN= > \"$1\"; PGLOCK_WITHIN=$(sed s/.*=// \"$1\") $0 run job -- true";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("within");
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", left_over, pglock])
        .arg(file)
        .env("DATABASE_URL", db.url());
    assert_eq!(said(&mut shell).code, 0);
}

/// What tells a `run` of the test's lock that this process has the lock.
fn held_by(db: &TestDb, pid: u32) -> String {
    let ran = on(
        db,
        &["run", "job", "--", "sh", "-c", "echo \"$PGLOCK_WITHIN\""],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let (_, held) = ran.out.trim_end().split_once(' ').unwrap();
    format!("{pid} {held}\n")
}

#[test]
fn one_around_it_that_is_another_users_is_seen_to_run() {
    let db = database();
    let mut command = pglock(&db);
    command.args(["run", "job", "--", "true"]);
    // The first process is root's, and may be signaled by nobody else.
    command.env("PGLOCK_WITHIN", held_by(&db, 1));
    if geteuid().is_root() {
        command.uid(65_534);
    }
    let inner = said(&mut command);
    assert!(
        inner.code == 125 && inner.err.contains("would wait for itself"),
        "{inner:?}"
    );
}
