//! The holder that the error of a busy lock names.

use std::time::Duration;

use pglock_tests::{Server, Waiter, database, pid_of};

use crate::{busy, busy_on, busy_table, here, holder};

/// It was the text that Postgres shows instead: `<insufficient privilege>`.
#[test]
fn a_statement_that_may_not_be_seen_is_none() {
    let db = database();
    db.execute("CREATE TABLE orders (); GRANT ALL ON orders TO PUBLIC");
    let mut other = db.connect_as("holder");
    let pid = pid_of(&mut other);
    other
        .batch_execute("BEGIN; LOCK TABLE orders; SELECT pg_advisory_xact_lock(1)")
        .unwrap();
    let mut client = db.connect();
    // One that every server has, and that may look at nothing of others.
    client.batch_execute("SET ROLE pg_signal_backend").unwrap();
    let of_a_table = busy_table(&mut client, pglock::table("orders"));
    for error in [busy_on(&mut client, 1), of_a_table] {
        let holder = holder(&error);
        assert_eq!((holder.pid, &holder.query), (pid, &None));
        assert_eq!(holder.application_name, "holder");
    }
}

/// It was "pid 0".
#[test]
fn a_prepared_transaction_is_named_with_what_ends_it() {
    let server = Server::start();
    let db = server.create_database();
    db.execute("CREATE TABLE orders ()");
    let gid = "order-17 of 'us'\\";
    let literal = "'order-17 of ''us''\\'";
    db.execute(&format!(
        "BEGIN; LOCK TABLE orders; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION {literal}"
    ));
    let mut client = db.connect();
    let of_a_table = busy_table(&mut client, pglock::table("orders"));
    for error in [busy(&here(&db), 1), busy_on(&mut client, 1), of_a_table] {
        let text = error.to_string();
        assert!(
            text.contains(&format!(
                "held by prepared transaction {gid:?} (user \"postgres\")"
            )),
            "{text}"
        );
        let hint = error.hint().unwrap();
        assert!(
            hint.contains(&format!("`ROLLBACK PREPARED {literal}`")),
            "{hint}"
        );
        assert!(!text.contains("pid 0"), "{text}");
        assert_eq!(holder(&error).pid, 0);
    }
    db.execute(&format!("ROLLBACK PREPARED {literal}"));
}

/// It was "gone by now, or not visible".
#[test]
fn one_that_only_waits_ahead_is_named() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut reader = db.connect();
    reader
        .batch_execute("BEGIN; SELECT FROM orders; SELECT pg_advisory_lock_shared(1)")
        .unwrap();
    let table = Waiter::start(&db, "BEGIN; LOCK TABLE orders; COMMIT");
    let key = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let read = pglock::table("orders").mode(pglock::TableMode::AccessShare);
    let of_a_table = busy_table(&mut client, read);
    let shared = || pglock::advisory(1).shared().timeout(Duration::ZERO);
    let on_it = shared().on(&mut client).acquire().unwrap_err();
    let own = shared().using(here(&db)).acquire().unwrap_err();
    for (error, pid) in [(of_a_table, table.pid), (on_it, key.pid), (own, key.pid)] {
        assert!(
            error.to_string().ends_with(&format!(
                ": queued behind pid {pid} (\"waiter\", user \"postgres\"), which waits for it too"
            )),
            "{error}"
        );
        assert_eq!(holder(&error).pid, pid);
    }
    // One that waits for what both can have is not in the way, but who holds it.
    let error = busy_on(&mut client, 1);
    assert!(error.to_string().contains(": held by pid "), "{error}");
    drop(reader);
    table.finish();
    key.finish();
}

/// It was said of every holder that was not found.
#[test]
fn a_holder_is_not_visible_only_if_it_is_not() {
    let db = database();
    let mut other = db.connect();
    other.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    db.execute("REVOKE SELECT ON pg_catalog.pg_locks FROM PUBLIC");
    let mut client = db.connect();
    client.batch_execute("SET ROLE pg_signal_backend").unwrap();
    let error = busy_on(&mut client, 1);
    assert!(error.is_busy() && error.holder().is_none());
    assert!(
        error
            .to_string()
            .ends_with(": its holder is not visible to this role"),
        "{error}"
    );
}
