//! How what was found is written: tables, JSON, CSV, colours.

use pglock_tests::database;
use serde_json::Value;

use super::{Blocked, on, pglock, said};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_format_has_the_same_rows() {
    let blocked = Blocked::on_orders();
    let json = parsed(&on(&blocked.db, &["blocked", "--output", "json"]).out);
    assert_eq!(json["schema"], "pglock/blocked/1");
    let table = on(&blocked.db, &["blocked", "--output", "table"]);
    assert!(table.out.starts_with("LOCK "), "{table:?}");
    let row = &json["locks"][0];
    assert_eq!(row["relation"]["name"], "orders");
    assert_eq!(row["granted"], false);
    assert_eq!(row["activity"]["pid"], blocked.waiter.pid);
    assert_eq!(row["blocking_activity"]["pid"], blocked.holder_pid);
    let csv = on(
        &blocked.db,
        &[
            "ls",
            "--waiting",
            "--output",
            "csv",
            "-a",
            "lock,granted,activity__application_name,type",
        ],
    );
    assert_eq!(
        csv.out,
        "lock,granted,activity__application_name,kind\ntable public.orders,False,migration,RELATION\n"
    );
    let expanded = on(
        &blocked.db,
        &["ls", "-e", "--waiting", "-a", "activity__query,mode"],
    );
    assert!(
        expanded.out.contains(
            "activity__query  ALTER TABLE orders ADD note text\nmode             ACCESS_EXCLUSIVE\n"
        ),
        "{}",
        expanded.out
    );
    let wrong = on(&blocked.db, &["ls", "-a", "colour"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("application_name"), "{}", wrong.err);
    blocked.end();
}

#[test]
fn keys_of_64_bits_are_exact_in_json() {
    let db = database();
    let mut client = db.connect();
    let _held = pglock::advisory("nightly-report")
        .on(&mut client)
        .acquire()
        .unwrap();
    let json = parsed(&on(&db, &["ls", "--json"]).out);
    let advisory = &json["locks"][0]["advisory"];
    assert_eq!(advisory["key"], "-8663603374018903193");
    assert_eq!(
        (&advisory["name"], &advisory["named_by"]),
        (&"nightly-report".into(), &"session".into())
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 3000) n")
        .unwrap();
    let command = format!(
        "{} ls -l 0 --output csv; echo $? >&2",
        env!("CARGO_BIN_EXE_pglock")
    );
    let shell = format!("({command}) | head -n 1");
    let said = said(
        std::process::Command::new("sh")
            .args(["-c", &shell])
            .env("DATABASE_URL", db.url()),
    );
    assert_eq!(said.err.lines().last(), Some("0"), "{}", said.err);
}

#[test]
fn colour_is_for_terminals_and_on_request() {
    let blocked = Blocked::on_orders();
    assert!(!on(&blocked.db, &["ls"]).out.contains('\u{1b}'));
    assert!(
        on(&blocked.db, &["ls", "--color", "always"])
            .out
            .contains("\u{1b}[31m")
    );
    let forced = said(pglock(&blocked.db).arg("ls").env("CLICOLOR_FORCE", "1"));
    assert!(forced.out.contains("\u{1b}["), "{}", forced.out);
    let without = said(
        pglock(&blocked.db)
            .args(["ls", "--color", "auto"])
            .env("NO_COLOR", "1"),
    );
    let never = said(
        pglock(&blocked.db)
            .args(["ls", "--color", "never"])
            .env("CLICOLOR_FORCE", "1"),
    );
    for plain in [without, never] {
        assert!(!plain.out.contains('\u{1b}'), "{plain:?}");
    }
    blocked.end();
}
