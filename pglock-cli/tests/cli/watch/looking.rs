//! What is on the screen, whatever is in the database, and whatever becomes of the server.

use pglock_tests::{Server, Waiter, database};

use super::super::Blocked;
use super::super::terminal::{self, Terminal};
use super::{DOWN, ENTER, ESCAPE, UP, about};

#[test]
fn who_blocks_whom_is_shown_and_followed() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits · 1 root");
    let (holder, waiter) = (blocked.holder_pid, blocked.waiter.pid);
    terminal.wait_for(&format!("▸  {holder} report"));
    terminal.wait_for(&format!("   └─ {waiter} migration"));
    terminal.wait_for("ACCESS_EXCLUSIVE  table public.orders");
    let web = Waiter::of(
        &blocked.db,
        blocked.db.connect_as("web"),
        "SELECT 1 FROM orders",
    );
    terminal.wait_for("2 wait · 1 root");
    terminal.wait_for(&format!("└─ {} web", web.pid));
    let _db = blocked.end();
    web.finish();
    terminal.wait_for("nobody waits for a lock");
    terminal.type_keys("q");
    terminal.ends_cleanly(0);
}

#[test]
fn each_view_shows_its_own() {
    let blocked = Blocked::on_orders();
    let mut named = blocked.db.connect_as("worker");
    let lock = pglock::advisory("nightly-report")
        .on(&mut named)
        .acquire()
        .unwrap();
    let mut terminal = Terminal::watch(&blocked.db, &["--view", "sessions"]);
    terminal.wait_for("[4 sessions]");
    terminal.wait_for("3 sessions · 1 idle in transaction");
    terminal.type_keys("2");
    terminal.wait_for("[2 locks]");
    terminal.wait_for("1 waited for");
    assert!(
        !terminal.screen().contains("pg_catalog"),
        "{}",
        terminal.screen()
    );
    terminal.type_keys("3");
    terminal.wait_for("1 lock · 0 waiting");
    terminal.wait_for("\"nightly-report\"  held");
    terminal.type_keys("\t\t");
    terminal.wait_for("[1 blocked]");
    terminal.wait_for("1 waits · 1 root");
    drop(lock);
    blocked.end();
}

#[test]
fn it_begins_with_the_view_that_is_asked_for() {
    let blocked = Blocked::on_orders();
    for (view, heading) in [
        ("blocked", "[1 blocked]"),
        ("locks", "[2 locks]"),
        ("named", "[3 named]"),
        ("sessions", "[4 sessions]"),
    ] {
        let mut terminal = Terminal::watch(&blocked.db, &["--view", view]);
        terminal.wait_for(heading);
        terminal.type_keys("q");
        terminal.ends_cleanly(0);
    }
    blocked.end();
}

#[test]
fn keys_move_filter_and_show_details() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    let pid = blocked.waiter.pid.to_string();
    terminal.wait_for("1 waits");
    terminal.type_keys(DOWN);
    terminal.wait_for(&format!("▸  └─ {pid}"));
    terminal.wait_until("the waiter's statement", |screen| {
        about(screen).contains("ALTER TABLE orders ADD note text")
    });
    terminal.type_keys(UP);
    terminal.wait_until("the holder's", |screen| {
        about(screen).contains("SELECT pg_backend_pid()")
    });
    terminal.type_keys("/nobody");
    terminal.wait_for("none of 2 rows fits the filter");
    terminal.type_keys(ESCAPE);
    terminal.wait_for("└─");
    terminal.type_keys("/migr\r");
    terminal.wait_for("filter: migr");
    terminal.wait_for("└─");
    terminal.type_keys(ENTER);
    terminal.wait_for("backend_start");
    terminal.type_keys(ESCAPE);
    terminal.wait_for("└─");
    terminal.type_keys("?");
    terminal.wait_for("A look at `blocked` is 2 statements");
    terminal.type_keys("qq");
    terminal.ends_cleanly(0);
    blocked.end();
}

#[test]
fn a_screen_of_another_size_is_drawn_anew() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits");
    terminal.resize(15, 60);
    terminal.wait_until("the last line is the last", |screen| {
        let lines: Vec<_> = screen.lines().collect();
        lines.len() == 15 && lines[14].ends_with("q quit") && lines[14].len() <= 70
    });
    blocked.end();
}

#[test]
fn a_server_that_was_away_is_found_again() {
    let server = Server::start();
    let db = server.create_database();
    let mut terminal = Terminal::watch(&db, &[]);
    terminal.wait_for("nobody waits for a lock");
    server.stop();
    // With the last picture, the reason, and for how long; and it still answers to keys.
    terminal.wait_until("no connection for 2 s or more", |screen| {
        let said = screen.split_once("no connection for ");
        let said = said.and_then(|(_, rest)| rest.split_once(" s; trying again"));
        said.is_some_and(|(seconds, _)| seconds.parse::<u64>().unwrap() >= 2)
    });
    terminal.wait_for("nobody waits for a lock");
    terminal.wait_for("cannot connect to database");
    terminal.type_keys("?");
    terminal.wait_for("A look at");
    terminal.type_keys(ESCAPE);
    server.start_again();
    terminal.wait_for("every 500ms");
    terminal.type_keys("q");
    terminal.ends_cleanly(0);
}

#[test]
fn hostile_texts_change_nothing() {
    let db = database();
    db.execute("CREATE TABLE \"evil\u{1b}[31m\u{202e}\" (id int)");
    let mut holder = db.connect_as("evil\u{1b}]0;owned\u{7}\nname");
    holder
        .batch_execute("BEGIN; LOCK \"evil\u{1b}[31m\u{202e}\"; SELECT '\u{1b}[5;5Howned\u{1b}]0;owned\u{7}\u{9b}2J'")
        .unwrap();
    let lock = "/* \u{1b}[9;9Howned \u{2066} */\nLOCK \"evil\u{1b}[31m\u{202e}\"";
    let waiter = Waiter::of(
        &db,
        db.connect_as("migration"),
        &format!("BEGIN; {lock}; ROLLBACK"),
    );
    let mut terminal = Terminal::watch(&db, &[]);
    terminal.wait_for("1 waits");
    for key in ["2", "3", "4", "1"] {
        terminal.type_keys(key);
        terminal.wait_for(&format!("[{key} "));
    }
    terminal.wait_for("1 waits");
    terminal.type_keys(ENTER);
    terminal.wait_for("backend_start");
    let written = terminal.written();
    for evil in [
        "\u{1b}]0;",
        "\u{1b}[31m\u{fffd}",
        "\u{1b}[5;5H",
        "\u{1b}[9;9Howned",
        "\u{9b}",
        "\u{202e}",
        "\u{2066}",
        "\u{7}",
    ] {
        assert!(!written.contains(evil), "{evil:?}");
    }
    terminal.type_keys("qq");
    terminal.ends_cleanly(0);
    holder.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
}

#[test]
fn a_statement_is_copied_by_the_terminal() {
    let blocked = Blocked::on_orders();
    let mut terminal = Terminal::watch(&blocked.db, &[]);
    terminal.wait_for("1 waits");
    terminal.type_keys("y");
    terminal.wait_for("copied the statement of");
    let written = terminal.written();
    // "SELECT pg_backend_pid()"
    let copied = "\u{1b}]52;c;U0VMRUNUIHBnX2JhY2tlbmRfcGlkKCk=\u{7}";
    assert!(written.contains(copied), "{written:?}");
    blocked.end();
}

#[test]
fn without_colours_there_is_bold_and_reverse_only() {
    let blocked = Blocked::on_orders();
    let command = terminal::pglock(&blocked.db, &["watch"]).env("NO_COLOR", "1");
    let terminal = Terminal::run(command);
    terminal.wait_for("1 waits");
    let written = terminal.written();
    for colour in ["\u{1b}[38;", "\u{1b}[48;", "\u{1b}[31m", "\u{1b}[2m"] {
        assert!(!written.contains(colour), "{colour:?} in {written:?}");
    }
    for emphasis in ["\u{1b}[7m", "\u{1b}[1m"] {
        assert!(written.contains(emphasis), "no {emphasis:?} in {written:?}");
    }
    blocked.end();
}

#[test]
fn filters_of_the_command_line_choose_trees() {
    let blocked = Blocked::on_orders();
    let terminal = Terminal::watch(&blocked.db, &["--app", "migration"]);
    terminal.wait_for("report");
    let none = Terminal::watch(&blocked.db, &["--min-wait", "1h"]);
    none.wait_for("nobody waits for a lock");
    blocked.end();
}
