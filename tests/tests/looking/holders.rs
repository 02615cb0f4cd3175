//! The holder that the error of a busy lock names.

use pglock_tests::{Server, database, pid_of};

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
                "held by prepared transaction {gid:?} (user \"postgres\"); "
            )),
            "{text}"
        );
        assert!(
            text.contains(&format!("`ROLLBACK PREPARED {literal}`")),
            "{text}"
        );
        assert!(!text.contains("pid 0"), "{text}");
        assert_eq!(holder(&error).pid, 0);
    }
    db.execute(&format!("ROLLBACK PREPARED {literal}"));
}
