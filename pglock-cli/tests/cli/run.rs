//! `run`, under each fault.

mod ending;
mod nested;
mod on_terminal;

use std::process::Command;
use std::time::Duration;

use pglock_tests::{BOUND, TestDb, database, is_alive, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use super::started::Started;
use super::{Said, on, pglock, said};

/// The lock of all of these tests.
fn held(db: &TestDb) -> usize {
    let (classid, objid) = pglock::advisory_id("job");
    db.held((i64::from(classid) << 32) | i64::from(objid))
}

/// A `run` that goes on; its command says what processes it has, one in a line.
struct Running {
    process: Started,
    pids: Vec<i32>,
}

impl Running {
    /// `script` says `echo` of as many pids as `pids`.
    fn start(command: &mut Command, script: &str, pids: usize) -> Self {
        let process = Started::start(command.args(["job", "--", "sh", "-c", script]));
        let mut running = Self {
            process,
            pids: Vec::new(),
        };
        wait_until("the command says its processes", BOUND, || {
            let out = running.process.out();
            // The last line may not be whole yet.
            running.pids = out.split_inclusive('\n').filter_map(pid).collect();
            running.pids.len() == pids
        });
        running
    }

    fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// What it has started may go on.
    #[track_caller]
    fn wait_until_seen_to_have_ended(&self) {
        let children = format!("/proc/{}/task/{0}/children", self.process.pid());
        wait_until("the command is seen to have ended", BOUND, || {
            std::fs::read_to_string(&children).is_ok_and(|children| children.is_empty())
        });
    }

    #[track_caller]
    fn end(&mut self) -> Said {
        self.process.end(BOUND)
    }
}

impl Drop for Running {
    /// What a test that fails has found left over would go on for long.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for pid in self.pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn pid(line: &str) -> Option<i32> {
    line.strip_suffix('\n')?.trim().parse().ok()
}

fn run(db: &TestDb, arguments: &[&str]) -> Command {
    let mut command = pglock(db);
    command.arg("run").args(arguments);
    command
}

fn terminate_holders(db: &TestDb) {
    for lock in db.advisory_locks() {
        db.terminate(lock.pid);
    }
}

fn wait_until_gone(pid: i32) {
    wait_until("the process is gone", BOUND, || {
        !is_alive(pid.cast_unsigned())
    });
}

#[test]
fn the_command_runs_under_the_lock_and_its_code_is_ours() {
    let db = database();
    let script = "echo \"$PGLOCK_HELD $PGLOCK_NAME $PGLOCK_KEY\"; exit 7";
    let ran = on(&db, &["run", "nightly-report", "--", "sh", "-c", script]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (7, "1 nightly-report -8663603374018903193\n")
    );
    assert_eq!(ran.err, "");
    db.wait_for_no_locks();
    assert_eq!(on(&db, &["run", "a", "true"]).code, 0);
}

#[test]
fn the_command_knows_the_session_of_its_lock() {
    let db = database();
    let script = "echo $PGLOCK_BACKEND_PID; exec \"$0\" who job --json";
    let who = [
        "run",
        "job",
        "--",
        "sh",
        "-c",
        script,
        env!("CARGO_BIN_EXE_pglock"),
    ];
    let who = on(&db, &who);
    let (pid, who) = who.out.split_once('\n').unwrap();
    let who: serde_json::Value = serde_json::from_str(who).unwrap();
    assert_eq!(
        who["locks"][0]["holders"][0]["activity"]["pid"].to_string(),
        pid
    );
}

#[test]
fn what_cannot_be_run_has_the_codes_of_a_shell() {
    let db = database();
    let none = on(&db, &["run", "job", "--", "/nonexistent"]);
    assert_eq!(none.code, 127, "{none:?}");
    assert!(
        none.err.contains("the command does not exist"),
        "{}",
        none.err
    );
    assert_eq!(on(&db, &["run", "job", "--", "/etc/passwd"]).code, 126);
    assert_eq!(
        on(&db, &["run", "job", "--", "sh", "-c", "kill -9 $$"]).code,
        137
    );
    let nameless = on(&db, &["run", "-n", "--", "sleep", "1"]);
    assert!(
        nameless.code == 125 && nameless.err.contains("the name of the lock is missing"),
        "{nameless:?}"
    );
    let usage = on(&db, &["run", "job"]);
    assert_eq!(usage.code, 125, "{usage:?}");
    let option = on(&db, &["run", "job", "-t", "5s", "true"]);
    assert_eq!(option.code, 125, "{option:?}");
    assert!(
        option.err.contains("`-t` stands where the command begins"),
        "{}",
        option.err
    );
    assert_eq!(
        on(&db, &["run", "-E", "300", "job", "--", "true"]).code,
        125
    );
    let no_server = said(
        pglock(&db)
            .args(["run", "job", "--", "true"])
            .env("DATABASE_URL", "postgres://127.0.0.1:1/x"),
    );
    assert_eq!(no_server.code, 125, "{no_server:?}");
}

#[test]
fn a_busy_lock_has_a_code_of_its_own_and_names_its_holder() {
    let db = database();
    let mut running = Running::start(&mut run(&db, &[]), "echo $$; exec sleep 60", 1);
    let busy = on(&db, &["run", "job", "-n", "--", "true"]);
    assert_eq!(busy.code, 75, "{busy:?}");
    assert!(
        busy.err.contains("busy") && busy.err.contains("run job"),
        "{}",
        busy.err
    );
    assert_eq!(
        on(&db, &["run", "job", "-w", "50ms", "-E", "9", "--", "true"]).code,
        9
    );
    for skip in [&["-n", "--skip"][..], &["--skip"]] {
        let skipped = on(&db, &[&["run", "job"], skip, &["--", "false"]].concat());
        assert_eq!((skipped.code, skipped.err.as_str()), (0, ""));
    }
    assert_eq!(on(&db, &["run", "other", "-n", "--", "true"]).code, 0);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
}

#[test]
fn it_says_after_two_seconds_whom_it_waits_for() {
    let db = database();
    let mut holder = Running::start(&mut run(&db, &[]), "echo $$; exec sleep 60", 1);
    let mut waiting = Started::start(&mut run(&db, &["job", "-w", "60s", "--", "true"]));
    wait_until("it says it", BOUND, || waiting.err().ends_with('\n'));
    let line = waiting.err();
    assert!(
        line.contains("\"job\" is busy: pid")
            && line.contains("run job")
            && line.contains("has had it for"),
        "{line}"
    );
    holder.signal(Signal::TERM);
    holder.end();
    assert_eq!(waiting.end(BOUND).code, 0);
}

#[test]
fn locks_can_be_shared() {
    let db = database();
    let mut running = Running::start(&mut run(&db, &["-s"]), "echo $$; exec sleep 60", 1);
    assert_eq!(on(&db, &["run", "job", "-n", "-s", "--", "true"]).code, 0);
    assert_eq!(on(&db, &["run", "job", "-n", "--", "true"]).code, 75);
    running.signal(Signal::INT);
    assert_eq!(running.end().code, 130);
}

#[test]
fn signals_are_passed_on() {
    let db = database();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let script = format!("trap 'exit 33' {name}; echo $$; while :; do sleep 0.05; done");
        let mut running = Running::start(&mut run(&db, &[]), &script, 1);
        running.signal(signal);
        assert_eq!(running.end().code, 33, "{name}");
    }
    db.wait_for_no_locks();
}

#[test]
fn a_signal_ends_the_wait_and_leaves_nothing_queued() {
    let db = database();
    let mut client = db.connect();
    let held = pglock::advisory("job").on(&mut client).acquire().unwrap();
    let mut waiting = Started::start(&mut run(&db, &["job", "--", "true"]));
    db.wait_for_waiters(1);
    waiting.signal(Signal::TERM);
    assert_eq!(waiting.end(BOUND).code, 143);
    wait_until("nobody waits", BOUND, || db.blocked_pids().is_empty());
    drop(held);
}

#[test]
fn the_whole_group_ends_when_the_lock_is_lost() {
    let db = database();
    let script = "trap '' TERM; echo $$; sleep 60 & echo $!; wait; sleep 60";
    let mut running = Running::start(&mut run(&db, &["--grace", "200ms"]), script, 2);
    terminate_holders(&db);
    let lost = running.end();
    assert_eq!(lost.code, 74, "{lost:?}");
    assert!(
        lost.err.contains("was lost") && lost.err.contains("the command was ended"),
        "{}",
        lost.err
    );
    running.pids.iter().copied().for_each(wait_until_gone);
}

#[test]
fn a_loss_can_be_said_only() {
    let db = database();
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let script = "echo $$; until test -e \"$END\"; do sleep 0.05; done";
    let mut command = run(&db, &["--on-lost", "warn"]);
    let mut running = Running::start(command.env("END", &end), script, 1);
    terminate_holders(&db);
    wait_until("it is said", BOUND, || {
        running.process.err().contains("the command goes on")
    });
    std::fs::write(end, "").unwrap();
    let lost = running.end();
    assert_eq!(lost.code, 74, "{lost:?}");
}

#[test]
fn no_orphan_is_left_when_it_is_killed() {
    let db = database();
    let mut running = Running::start(&mut run(&db, &[]), "echo $$; exec sleep 60", 1);
    assert_eq!(held(&db), 1);
    running.signal(Signal::KILL);
    wait_until_gone(running.pids[0]);
    db.wait_for_no_locks();
    running.end();
}

#[test]
fn a_lock_is_kept_for_as_long_as_is_asked() {
    let db = database();
    let began = std::time::Instant::now();
    let kept = ["job", "--at-least", "1500ms", "--", "true"];
    let mut running = Started::start(&mut run(&db, &kept));
    wait_until("it is held", BOUND, || held(&db) == 1);
    let busy = on(&db, &["run", "job", "-n", "--", "true"]);
    assert_eq!(busy.code, 75, "{busy:?}");
    assert_eq!(running.end(BOUND).code, 0);
    assert!(began.elapsed() >= Duration::from_millis(1500));
    db.wait_for_no_locks();
}

#[test]
fn a_signal_ends_the_time_for_which_a_lock_is_kept() {
    let db = database();
    let mut running = Running::start(&mut run(&db, &["--at-least", "10min"]), "echo $$", 1);
    wait_until_gone(running.pids[0]);
    running.wait_until_seen_to_have_ended();
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
    db.wait_for_no_locks();
}

#[test]
fn three_that_start_at_once_run_one_after_the_other() {
    let db = database();
    let script = "mkdir \"$0\" || exit 1; sleep 0.1; rmdir \"$0\"";
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    let started: Vec<_> = (0..3)
        .map(|_| Started::start(run(&db, &["job", "--", "sh", "-c", script]).arg(&inside)))
        .collect();
    for mut process in started {
        assert_eq!(process.end(BOUND).code, 0);
    }
}
