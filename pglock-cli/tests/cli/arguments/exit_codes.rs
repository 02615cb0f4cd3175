//! Each exit code that a command has, as the table in the README has them.

use std::process::Command;

use pglock_tests::{BOUND, database};
use rustix::process::Signal;

use crate::started::Started;
use crate::terminal::{self, Terminal};
use crate::{Blocked, bare, on, pglock, said};

const NOWHERE: &str = "postgres://127.0.0.1:1/none";

#[track_caller]
fn assert_code(command: &mut Command, code: i32) {
    let told = said(command);
    assert_eq!(told.code, code, "{command:?}: {told:?}");
    assert!(!told.err.contains("panicked"), "{told:?}");
}

#[test]
fn those_that_look_say_yes_and_no() {
    let blocked = Blocked::on_orders();
    let db = &blocked.db;
    let held = &mut db.connect();
    held.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    for (arguments, code) in [
        (&["ls"][..], 0),
        (&["ls", "--exit-code"], 0),
        (&["ls", "--app", "nobody"], 0),
        (&["ls", "--app", "nobody", "--exit-code"], 1),
        (&["blocked"], 0),
        (&["blocked", "--exit-code"], 0),
        (&["blocked", "--min-wait", "1h"], 0),
        (&["blocked", "--min-wait", "1h", "--exit-code"], 1),
        (&["tree"], 0),
        (&["tree", "--exit-code"], 0),
        (&["tree", "--min-wait", "1h"], 0),
        (&["tree", "--min-wait", "1h", "--exit-code"], 1),
        (&["who", "42"], 0),
        (&["who", "43"], 1),
        (&["who", "42", "43"], 1),
        (&["id", "42"], 0),
        (&["id", "--of", "0", "43"], 1),
        (&["names"], 0),
        (&["doctor", "--idle", "0s"], 1),
    ] {
        assert_code(pglock(db).args(arguments), code);
    }
    blocked.end();
}

#[test]
fn trouble_is_two_of_all_but_those_that_run_a_command() {
    for arguments in [
        &["ls"][..],
        &["blocked"],
        &["tree"],
        &["watch"],
        &["who", "42"],
        &["doctor"],
        &["cancel", "1", "-y"],
        &["terminate", "1", "-y"],
        &["free", "42", "-y"],
    ] {
        // No server, usage, and a file that has mistakes.
        assert_code(bare().args(arguments).env("DATABASE_URL", NOWHERE), 2);
        assert_code(bare().args(arguments).arg("--none"), 2);
        let missing = ["--config-file", "/nonexistent/pglock.toml"];
        assert_code(bare().args(arguments).args(missing), 2);
    }
    for arguments in [&["cancel", "1"][..], &["terminate", "1"], &["free", "1"]] {
        let read_only = bare().args(arguments).arg("--read-only").status().unwrap();
        assert_eq!(read_only.code(), Some(2), "{arguments:?}");
    }
    assert_code(bare().args(["id"]), 2);
    assert_code(bare().args(["names", "--names", "/nonexistent"]), 2);
    assert_code(bare().args(["completions", "none"]), 2);
    assert_code(bare().args(["man", "--dir", "/nonexistent/none"]), 2);
    for arguments in [
        &["run", "job", "--", "true"][..],
        &["guard", "--cancel", "--", "true"],
    ] {
        assert_code(bare().args(arguments).env("DATABASE_URL", NOWHERE), 125);
        assert_code(
            bare().arg(arguments[0]).arg("--none").args(&arguments[1..]),
            125,
        );
        assert_code(bare().args(&arguments[..2]), 125);
    }
    let read_only = ["--read-only", "guard", "--cancel", "--", "true"];
    assert_code(bare().args(read_only), 125);
}

#[test]
fn those_that_act_say_whether_all_were_hit() {
    let blocked = Blocked::on_orders();
    let db = &blocked.db;
    let pid = blocked.holder_pid.to_string();
    for (arguments, code) in [
        (&["terminate", "--app", "nobody", "-y"][..], 1),
        (&["cancel", "--app", "nobody", "-y"], 1),
        // It does nothing, and is left alone.
        (&["cancel", &pid, "-y"], 1),
        // There is no terminal to ask on.
        (&["terminate", &pid], 2),
        (&["kill", &pid, "--dry-run"], 0),
        (&["free", "42", "-y"], 0),
        (&["terminate", &pid, "-y"], 0),
        (&["terminate", &pid, "-y"], 1),
    ] {
        assert_code(pglock(db).args(arguments), code);
    }
    blocked.waiter.finish();
}

#[test]
fn a_no_is_one_and_a_signal_is_128_and_its_number() {
    let blocked = Blocked::on_orders();
    let terminate = ["terminate", &blocked.holder_pid.to_string()];
    let asked = || {
        let terminal = Terminal::run(terminal::pglock(&blocked.db, &terminate));
        terminal.wait_for("End this session? [y/N]");
        terminal
    };
    let mut answered = asked();
    answered.type_keys("n\n");
    assert_eq!(answered.wait_for_end().code(), Some(1));
    // A shell says 130 of what Ctrl-C has ended.
    let mut interrupted = asked();
    interrupted.type_keys("\u{3}");
    let ended = interrupted.wait_for_end();
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
    assert_eq!((ended.code(), signal), (None, Some(2)));
    blocked.end();
}

#[test]
fn what_runs_a_command_has_its_codes_and_some_of_its_own() {
    let db = database();
    for code in [0, 1, 2, 74, 75, 124, 255] {
        let script = format!("exit {code}");
        for runs in [&["run", "job"][..], &["guard", "--cancel"]] {
            let command = ["--", "sh", "-c", &script];
            assert_code(pglock(&db).args(runs).args(command), code);
        }
    }
    for (command, code) in [
        (&["/nonexistent"][..], 127),
        (&["/etc/passwd"], 126),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
    ] {
        for runs in [&["run", "job", "--"][..], &["guard", "--cancel", "--"]] {
            assert_code(pglock(&db).args(runs).args(command), code);
        }
    }
    let too_long = ["run", "job", "--at-most", "50ms", "--", "sleep", "60"];
    assert_code(pglock(&db).args(too_long), 124);
    let held = &mut db.connect();
    held.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    for (options, code) in [
        (&["-n"][..], 75),
        (&["--try"], 75),
        (&["-w", "10ms"], 75),
        (&["--timeout", "10ms", "--busy-code", "1"], 1),
        (&["-n", "-E", "255"], 255),
        (&["-n", "-E", "256"], 125),
        (&["-n", "-E", "0"], 125),
        (&["--skip"], 0),
    ] {
        let run = [&["run", "42"], options, &["--", "false"]].concat();
        assert_code(pglock(&db).args(run), code);
    }
}

#[test]
fn a_lock_that_is_lost_is_74_and_a_wait_that_is_ended_is_its_signal() {
    let db = database();
    let mut running = Started::start(pglock(&db).args(["run", "job", "--", "sleep", "60"]));
    pglock_tests::wait_until("it is held", BOUND, || !db.advisory_locks().is_empty());
    let mut waiting = Started::start(pglock(&db).args(["run", "job", "--", "true"]));
    db.wait_for_waiters(1);
    waiting.signal(Signal::INT);
    assert_eq!(waiting.end(BOUND).code, 130);
    for lock in db.advisory_locks() {
        db.terminate(lock.pid);
    }
    assert_eq!(running.end(BOUND).code, 74);
    assert_eq!(on(&db, &["who", "job"]).code, 1);
}
