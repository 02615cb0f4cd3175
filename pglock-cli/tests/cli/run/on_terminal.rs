//! `run` on a real terminal, whose keys reach the command.

use pglock_tests::{TestDb, database};
use rustix::process::Signal;

use super::super::terminal::{self, Terminal};
use super::{held, wait_until_gone};

const CTRL_C: &str = "\u{3}";
const CTRL_Z: &str = "\u{1a}";

/// Says its process, and is ended by what the terminal sends.
const SLEEPS: &str = "echo \"runs as $$.\"; exec sleep 60";
/// Reads what is typed, and says it.
const READS: &str = "echo ready; read -r line; echo \"read $line\"; exit 7";

fn run(db: &TestDb, script: &str) -> Terminal {
    let arguments = ["run", "job", "--", "sh", "-c", script];
    Terminal::run(terminal::pglock(db, &arguments))
}

/// The process that [`SLEEPS`] has said.
fn said(terminal: &Terminal) -> i32 {
    let pid = |screen: &str| {
        let (_, rest) = screen.split_once("runs as ")?;
        rest.split_once('.')?.0.parse().ok()
    };
    terminal.wait_until("its process", |screen| pid(screen).is_some());
    pid(&terminal.screen()).unwrap()
}

#[test]
fn ctrl_c_ends_the_command_and_nothing_is_left() {
    let db = database();
    let mut terminal = run(&db, SLEEPS);
    let pid = said(&terminal);
    assert_eq!(held(&db), 1);
    terminal.type_keys(CTRL_C);
    assert_eq!(terminal.wait_for_end().code(), Some(130));
    wait_until_gone(pid);
    db.wait_for_no_locks();
}

#[test]
fn ctrl_c_is_sent_to_the_command_once() {
    let db = database();
    let counts = "n=0; trap 'n=$((n + 1)); echo \"heard $n\"' INT; trap 'echo \"in all $n\"; exit 0' TERM; echo ready; while :; do read -r line; done";
    let mut terminal = run(&db, counts);
    terminal.wait_for("ready");
    terminal.type_keys(CTRL_C);
    terminal.wait_for("heard 1");
    terminal.signal(Signal::TERM);
    terminal.wait_for("in all 1");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn the_command_reads_what_is_typed() {
    let db = database();
    let mut terminal = run(&db, READS);
    terminal.wait_for("ready");
    terminal.type_keys("hello\n");
    terminal.wait_for("read hello");
    assert_eq!(terminal.wait_for_end().code(), Some(7));
    db.wait_for_no_locks();
}

#[test]
fn it_stops_with_the_command_and_goes_on_with_it() {
    let db = database();
    let script = format!(
        "\"$PGLOCK\" run job -- sh -c '{READS}'; echo \"stopped $?\"; read -r line; fg; echo \"ended $?\""
    );
    let mut terminal = Terminal::run(terminal::shell(&db, &script));
    terminal.wait_for("ready");
    terminal.type_keys(CTRL_Z);
    terminal.wait_for("stopped 148");
    assert_eq!(held(&db), 1);
    terminal.type_keys("\n");
    // The shell names the job that it brings back.
    terminal.wait_for("run job");
    terminal.type_keys("hello\n");
    terminal.wait_for("read hello");
    terminal.wait_for("ended 7");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    db.wait_for_no_locks();
}

#[test]
fn the_command_ends_with_its_terminal() {
    let db = database();
    let mut terminal = run(&db, SLEEPS);
    let pid = said(&terminal);
    terminal.hang_up();
    assert_eq!(terminal.wait_for_end().code(), Some(129));
    wait_until_gone(pid);
    db.wait_for_no_locks();
}
