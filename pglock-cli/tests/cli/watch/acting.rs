//! Cancelling and terminating: after a question, those who were shown.

use pglock_tests::{TestDb, Waiter};

use super::super::Blocked;
use super::super::terminal::{self, Terminal};
use super::{DOWN, about};

/// Under a question that can be answered.
const OPEN: &str = "y yes  any other key no";

/// Whether the session is still there.
fn is_there(db: &TestDb, pid: i32) -> bool {
    let mut client = db.connect();
    let row = client.query_one(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = $1",
        &[&pid],
    );
    row.unwrap().get::<_, i64>(0) == 1
}

#[test]
fn a_session_is_ended_after_the_question() {
    let blocked = Blocked::on_orders();
    let pid = blocked.holder_pid;
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits");
    terminal.type_keys("t");
    terminal.wait_for("It would let 1 other go on. End this session? [y/N]");
    terminal.wait_for(OPEN);
    let whom = format!("{pid} \"report\" of user ");
    assert!(about(&terminal.screen()).contains(&whom), "{whom}");
    terminal.type_keys("n");
    terminal.wait_for("nothing was done");
    assert!(is_there(&blocked.db, pid));
    terminal.type_keys("t");
    terminal.wait_for(OPEN);
    terminal.type_keys("y");
    terminal.wait_for(": terminated");
    terminal.wait_for("nobody waits for a lock");
    assert!(!is_there(&blocked.db, pid));
    blocked.waiter.finish();
}

#[test]
fn a_statement_is_canceled_and_who_does_nothing_is_not() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits");
    terminal.type_keys("c");
    terminal.wait_for("it is doing nothing that could be canceled");
    terminal.type_keys(&format!("{DOWN}c"));
    terminal.wait_for("Cancel what this session is doing? [y/N]");
    terminal.wait_for(OPEN);
    terminal.type_keys("y");
    terminal.wait_for(": canceled");
    blocked.waiter.was_canceled();
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let blocked = Blocked::on_orders();
    let pid = blocked.holder_pid;
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits");
    // More than is read at once.
    terminal.type_keys(&format!("t{}", "y".repeat(2_000)));
    terminal.wait_for("End this session? [y/N]");
    terminal.wait_for(OPEN);
    // A paste is none either, whenever it comes.
    terminal.type_keys("\u{1b}[200~y\u{1b}[201~");
    // Nor does any other key, which this one shows.
    terminal.type_keys("n");
    terminal.wait_for("nothing was done");
    assert!(is_there(&blocked.db, pid));
    blocked.end();
}

#[test]
fn tagged_sessions_are_hit_together() {
    let blocked = Blocked::on_orders();
    let web = Waiter::of(
        &blocked.db,
        blocked.db.connect_as("web"),
        "SELECT 1 FROM orders",
    );
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("2 wait");
    terminal.type_keys(&format!("{DOWN}  "));
    terminal.wait_for("2 tagged");
    terminal.type_keys("t");
    terminal.wait_for("Nobody who waits could go on. End these 2 sessions? [y/N]");
    terminal.wait_for(OPEN);
    terminal.type_keys("y");
    terminal.wait_for("nobody waits for a lock");
    assert!(!is_there(&blocked.db, web.pid) && !is_there(&blocked.db, blocked.waiter.pid));
    assert!(is_there(&blocked.db, blocked.holder_pid));
}

#[test]
fn read_only_and_never_lists_are_kept_to() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &["--read-only"]);
    terminal.wait_for("1 waits");
    assert!(
        !terminal.screen().contains("terminate"),
        "{}",
        terminal.screen()
    );
    terminal.type_keys("t");
    terminal.wait_for("`terminate` is refused in read-only mode");
    terminal.type_keys("yq");
    terminal.ends_cleanly(0);
    let folder = tempfile::tempdir().unwrap();
    let text = "refresh = \"1s\"\nnever_application = [\"report\"]\n";
    std::fs::write(folder.path().join("pglock.toml"), text).unwrap();
    let command = terminal::pglock(&blocked.db, &["watch"]).current_dir(folder.path());
    let mut terminal = Terminal::run(command);
    terminal.wait_for("every 1s");
    terminal.type_keys("t");
    terminal.wait_for("its application is in `never_application`");
    terminal.type_keys("yq");
    terminal.ends_cleanly(0);
    assert!(is_there(&blocked.db, blocked.holder_pid));
    blocked.end();
}
