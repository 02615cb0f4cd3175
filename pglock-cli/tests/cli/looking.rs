//! `ls`, `blocked`, `tree`, `who`.

mod limits;

use pglock_tests::{Waiter, database};
use serde_json::Value;

use super::{Blocked, bare, on, said};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn ls_shows_who_holds_and_who_waits_and_says_what_it_leaves_out() {
    let blocked = Blocked::on_orders();
    let ls = on(&blocked.db, &["ls"]);
    assert_eq!(ls.code, 0, "{ls:?}");
    let mut lines = ls.out.lines();
    let head = lines.next().unwrap();
    assert!(
        head.starts_with("LOCK ") && head.ends_with("STATEMENT"),
        "{head}"
    );
    let first = lines.next().unwrap();
    for part in [
        "table public.orders",
        "ACCESS_EXCLUSIVE",
        "migration",
        "ALTER TABLE orders ADD note text",
    ] {
        assert!(first.contains(part), "{first}");
    }
    assert!(
        lines.next().unwrap().contains("IDLE_IN_TRANSACTION"),
        "{}",
        ls.out
    );
    assert!(ls.err.contains("(--all)"), "{}", ls.err);
    assert!(!ls.out.contains("pg_catalog"), "{}", ls.out);
    let all = on(&blocked.db, &["ls", "--all", "-l", "0"]);
    assert!(all.out.contains("pg_catalog"), "{}", all.out);
    blocked.end();
}

#[test]
fn without_a_command_it_is_ls() {
    let blocked = Blocked::on_orders();
    let pid = blocked.waiter.pid.to_string();
    let of_waiter = on(&blocked.db, &[&pid]);
    assert!(
        of_waiter.out.contains("migration") && !of_waiter.out.contains("report"),
        "{of_waiter:?}"
    );
    let blocking = on(&blocked.db, &["-o", "orders", "--blocking", "-l", "5"]);
    assert!(
        blocking.out.contains("BLOCKED BY") && blocking.out.contains("report"),
        "{blocking:?}"
    );
    let none = on(&blocked.db, &["lss"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("'ls'"), "{}", none.err);
    blocked.end();
}

#[test]
fn filters_choose_rows() {
    let blocked = Blocked::on_orders();
    let rows = |arguments: &[&str]| {
        let out = on(&blocked.db, arguments);
        assert_eq!(out.code, 0, "{out:?}");
        out.out.lines().count().saturating_sub(1)
    };
    assert_eq!(rows(&["ls", "--waiting"]), 1);
    assert_eq!(rows(&["ls", "--held", "-o", "orders"]), 1);
    assert_eq!(
        rows(&["ls", "-f", "granted=False", "-f", "mode=ACCESS_EXCLUSIVE"]),
        1
    );
    assert_eq!(rows(&["ls", "-x", "granted=True"]), 1);
    assert_eq!(rows(&["ls", "--app", "migration", "--waiting"]), 1);
    assert_eq!(rows(&["ls", "--min-wait", "1h"]), 0);
    assert_eq!(rows(&["blocked", "--app", "nobody"]), 0);
    let wrong = on(&blocked.db, &["ls", "-f", "grantd=False"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.starts_with("pglock: ") && wrong.err.contains("grantd"),
        "{}",
        wrong.err
    );
    blocked.end();
}

#[test]
fn exit_codes_say_whether_there_is_anything() {
    let blocked = Blocked::on_orders();
    assert_eq!(on(&blocked.db, &["blocked", "--exit-code"]).code, 0);
    assert_eq!(
        on(&blocked.db, &["blocked", "--exit-code", "--min-wait", "1h"]).code,
        1
    );
    let none = on(&blocked.db, &["blocked", "--min-wait", "1h"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
    assert!(none.err.contains("nobody waits"), "{}", none.err);
    blocked.end();
}

#[test]
fn the_tree_has_roots_first_and_says_what_to_type() {
    let blocked = Blocked::on_orders();
    let queued = Waiter::of(
        &blocked.db,
        blocked.db.connect_as("web"),
        "SELECT * FROM orders",
    );
    let tree = on(&blocked.db, &["tree"]);
    let lines: Vec<_> = tree.out.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{} report (", blocked.holder_pid)),
        "{}",
        tree.out
    );
    assert!(
        lines[2].starts_with(&format!("└─ {} migration (", blocked.waiter.pid)),
        "{}",
        tree.out
    );
    assert!(
        lines[2].contains("waits") && lines[2].contains("ACCESS_EXCLUSIVE on table public.orders"),
        "{}",
        tree.out
    );
    assert!(
        lines[4].contains("web") && lines[4].contains("queued behind it"),
        "{}",
        tree.out
    );
    assert!(
        tree.err
            .contains(&format!("pglock terminate {}", blocked.holder_pid)),
        "{}",
        tree.err
    );
    let json = parsed(&on(&blocked.db, &["tree", "--json"]).out);
    assert_eq!(json["schema"], "pglock/graph/1");
    assert_eq!(json["edges"].as_array().unwrap().len(), 2);
    assert!(
        on(&blocked.db, &["tree", "--dot"])
            .out
            .starts_with("digraph")
    );
    let svg = on(&blocked.db, &["tree", "--svg", "-"]).out;
    assert!(
        svg.starts_with("<svg") && svg.contains("migration") && svg.contains("class=\"soft\""),
        "{svg}"
    );
    assert_eq!(
        on(&blocked.db, &["tree", "--min-wait", "1h"]).err,
        "nobody waits for a lock\n"
    );
    let _db = blocked.end();
    queued.finish();
}

#[test]
fn who_names_holders_and_waiters() {
    let db = database();
    let mut holder = db.connect_as("worker-1");
    let held = pglock::advisory("nightly-report")
        .on(&mut holder)
        .acquire()
        .unwrap();
    let waiter = Waiter::of(
        &db,
        db.connect_as("worker-2"),
        "SELECT pg_advisory_lock(-8663603374018903193)",
    );
    let who = on(&db, &["who", "nightly-report"]);
    assert_eq!(who.code, 0);
    let lines: Vec<_> = who.out.lines().collect();
    assert_eq!(lines[0], r#""nightly-report" (key -8663603374018903193)"#);
    assert!(
        lines[1].starts_with("held ")
            && lines[1].contains("worker-1")
            && lines[1].contains("  since 20"),
        "{}",
        who.out
    );
    assert!(
        lines[2].starts_with("waits 1 ") && lines[2].contains("worker-2"),
        "{}",
        who.out
    );
    let json = parsed(&on(&db, &["who", "nightly-report", "--json"]).out);
    assert_eq!(
        json["locks"][0]["waiters"][0]["activity"]["application_name"],
        "worker-2"
    );
    drop(held);
    waiter.finish();
    let free = on(&db, &["who", "orders-sync", "prisma", "1,2"]);
    assert_eq!(free.code, 1);
    assert!(
        free.out.contains("Prisma Migrate (key 72707369) is free"),
        "{}",
        free.out
    );
    assert!(
        free.out.contains("(1, 2) (pair 1,2) is free"),
        "{}",
        free.out
    );
}

#[test]
fn a_free_lock_is_said_to_be_free_in_its_database() {
    // Other tests on this server have locks of their own.
    let (db, other) = (database(), database());
    let mut holder = other.connect();
    holder
        .batch_execute("SELECT pg_advisory_lock(7302951)")
        .unwrap();
    let here = format!("is free in database \"{}\"", db.name());
    let there = format!("is held in \"{}\"", other.name());
    for (command, code) in [
        (&["who", "7302951"][..], 1),
        (&["free", "7302951", "-y"], 0),
    ] {
        let told = on(&db, command);
        assert!(
            told.code == code && told.out.contains(&here) && told.out.contains(&there),
            "{told:?}"
        );
    }
    assert_eq!(other.held(7_302_951), 1);
    let nowhere = on(&db, &["who", "7302952"]);
    assert!(!nowhere.out.contains("held"), "{nowhere:?}");
}

#[test]
fn the_lock_of_a_migrator_has_its_name() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(72707369)")
        .unwrap();
    let id = parsed(&on(&db, &["id", "sqlx", "--json"]).out);
    client.batch_execute(id["take"].as_str().unwrap()).unwrap();
    let ls = on(&db, &["ls"]);
    for name in ["Prisma Migrate", "sqlx migrations"] {
        assert!(ls.out.contains(name), "{}", ls.out);
    }
    assert_eq!(on(&db, &["who", "sqlx"]).code, 0);
}

#[test]
fn a_hostile_application_name_changes_nothing() {
    let db = database();
    let mut client = db.connect_as("evil\u{1b}[2J\u{202e}x\ny");
    client
        .batch_execute("SELECT pg_advisory_lock(7) -- \u{1b}]0;title\u{7}")
        .unwrap();
    for arguments in [
        &["ls"][..],
        &["ls", "-e"],
        &["who", "7"],
        &["ls", "--output", "csv"],
    ] {
        let out = on(&db, arguments).out;
        let is_bad = |character: char| {
            character.is_control() && character != '\n' || character == '\u{202e}'
        };
        if !arguments.contains(&"csv") {
            assert!(!out.contains(is_bad), "{arguments:?}: {out:?}");
        }
        assert!(out.contains("evil"), "{out}");
    }
}

/// While it is looked at, a table is locked against everything.
#[test]
fn it_does_not_wait_for_what_it_looks_at() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let mut client = db.connect();
    client
        .batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    for arguments in [
        &["ls", "-o", "orders"][..],
        &["blocked"],
        &["tree", "-o", "orders"],
    ] {
        assert_eq!(on(&db, arguments).code, 0, "{arguments:?}");
    }
}

/// Its own statements read this table.
#[test]
fn it_waits_for_no_lock_for_long() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("BEGIN; LOCK pg_namespace IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let told = on(&db, &["ls"]);
    assert!(
        told.code == 2 && told.err.contains("lock timeout"),
        "{told:?}"
    );
}

#[test]
fn errors_are_one_line_without_a_password() {
    let url = "postgres://ops:s3cret@127.0.0.1:1/app";
    for arguments in [
        &["-d", url][..],
        &["-d", url, "tree"],
        &["who", "a", "-d", url],
    ] {
        let said = said(bare().args(arguments));
        assert_eq!(said.code, 2);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(
            said.err.starts_with("pglock: cannot connect") && !said.err.contains("s3cret"),
            "{}",
            said.err
        );
    }
    let none = said(bare().arg("ls").env("HOME", "/nonexistent"));
    assert_eq!(none.code, 2, "{none:?}");
    assert!(
        none.err.contains("DATABASE_URL") && none.err.contains("PGHOST"),
        "{}",
        none.err
    );
}

#[test]
fn the_environment_of_libpq_says_where_to_connect() {
    let db = database();
    let config: tokio_postgres::Config = db.url().parse().unwrap();
    let host = match &config.get_hosts()[0] {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    };
    let mut command = bare();
    command
        .args(["ls", "--json"])
        .env("PGHOST", host)
        .env("PGDATABASE", db.name());
    command.env("PGPORT", config.get_ports()[0].to_string());
    command.env("PGUSER", config.get_user().unwrap());
    let json = parsed(&said(&mut command).out);
    assert_eq!(json["server"]["database"], db.name());
}
