//! Every way out, after which the terminal is as it was before.

use pglock_tests::database;
use rustix::process::Signal;

use super::super::terminal::{self, Terminal};
use super::super::{Blocked, on, pglock, said};

#[test]
fn each_way_out_leaves_the_terminal_as_it_was() {
    let db = database();
    for (keys, code) in [
        ("q", 0),
        ("\u{3}", 130),
        ("tq", 0),
        ("/\u{3}", 130),
        ("?\u{3}", 130),
    ] {
        let mut terminal = Terminal::watch(&db, &[]);
        terminal.wait_for("nobody waits for a lock");
        terminal.type_keys(keys);
        terminal.ends_cleanly(code);
    }
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::USR1, 138),
    ] {
        let terminal = Terminal::watch(&db, &[]);
        terminal.wait_for("nobody waits for a lock");
        terminal.signal(signal);
        terminal.ends_cleanly(code);
    }
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    // What is released has no such panic.
    if !cfg!(debug_assertions) {
        return;
    }
    let db = database();
    for place in ["draw", "look"] {
        let command = terminal::pglock(&db, &["watch", "-n", "0.5"]);
        let terminal = Terminal::run(command.env("PGLOCK_TEST_PANIC", place));
        // Read on the screen of before.
        terminal.wait_for("a panic for a test");
        terminal.ends_cleanly(101);
    }
}

#[test]
fn it_ends_with_its_terminal() {
    let db = database();
    let mut terminal = Terminal::watch(&db, &[]);
    terminal.wait_for("nobody waits for a lock");
    terminal.hang_up();
    // By SIGHUP, which the kernel sends.
    assert_eq!(terminal.wait_for_end().code(), Some(129));
}

#[test]
fn it_stops_and_comes_back() {
    let blocked = Blocked::on_orders();
    let script = "\"$PGLOCK\" watch -n 0.5; echo stopped; read -r line; fg; echo over";
    let mut terminal = Terminal::run(terminal::shell(&blocked.db, script));
    terminal.wait_for("1 waits");
    terminal.type_keys("\u{1a}");
    terminal.wait_for("stopped");
    assert!(
        !terminal.screen().contains("1 waits"),
        "{}",
        terminal.screen()
    );
    terminal.is_as_before();
    terminal.type_keys("\n");
    terminal.wait_for("1 waits");
    terminal.type_keys("q");
    terminal.wait_for("over");
    terminal.ends_cleanly(0);
    blocked.end();
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_as_elsewhere() {
    let db = database();
    for (options, said) in [
        (&["-f", "grantd=False"][..], "grantd"),
        (&["-n", "0.1"], "between 0.5s and 1h"),
        (&["--output", "csv"], "leave out --output"),
        (&["--on", "nothing"], "nothing"),
    ] {
        let mut terminal = Terminal::run(terminal::pglock(&db, &[&["watch"], options].concat()));
        assert_eq!(terminal.wait_for_end().code(), Some(2));
        terminal.wait_for(said);
        assert!(
            !terminal.written().contains("\u{1b}[?1049h"),
            "{}",
            terminal.written()
        );
    }
    let nowhere = terminal::with_url("postgres://127.0.0.1:1/none", &["watch"]);
    let mut terminal = Terminal::run(nowhere);
    assert_eq!(terminal.wait_for_end().code(), Some(2));
    terminal.wait_for("nothing listens there");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pglock.toml"), "refresh = \"never\"\n").unwrap();
    let wrong = said(pglock(&db).arg("watch").current_dir(folder.path()));
    assert!(
        wrong.code == 2 && wrong.err.contains("`refresh` of pglock.toml"),
        "{wrong:?}"
    );
    let view = on(&db, &["watch", "--view", "locks"]);
    assert!(
        view.code == 2 && view.err.contains("leave out --view"),
        "{view:?}"
    );
}
