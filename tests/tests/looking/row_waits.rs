//! Who waits for a row, waits for the transaction that has it, which names no table.

use std::collections::BTreeSet;

use pglock::{BlockedLock, LockKind, RelKind};
use pglock_tests::{TestDb, Waiter, database, pid_of};
use postgres::Client;

const TABLES: &str = "CREATE TABLE orders (id int PRIMARY KEY, part int UNIQUE); INSERT INTO orders VALUES (1, 1), (2, 2), (3, 3); \
     CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders); INSERT INTO items VALUES (1, 3); \
     CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)";

fn holder(db: &TestDb, statements: &str) -> (Client, i32) {
    let mut client = db.connect_as("holder");
    let pid = pid_of(&mut client);
    client.batch_execute(statements).unwrap();
    (client, pid)
}

fn on(db: &TestDb, table: &str) -> Vec<BlockedLock> {
    let blocked = pglock::blocked_locks().on([table]);
    blocked.fetch(&mut db.connect()).unwrap()
}

/// Two sessions of which the second waits for a row of the table that the first has: who is in the way of waits on the
/// table, how that is shown, and that it is ended.
fn wait_for_a_row_of(table: &str, holds: &str, waits: &str, kind: LockKind) {
    let db = database();
    db.execute(TABLES);
    let (_holder, pid) = holder(&db, &format!("BEGIN; {holds}"));
    let waiter = Waiter::start(&db, waits);
    let found = on(&db, table);
    let what = format!("{waits} while {holds}: {found:#?}");
    let [blocked] = &found[..] else {
        panic!("{what}")
    };
    assert_eq!(blocked.kind, kind, "{what}");
    assert_eq!(blocked.activity.pid, waiter.pid, "{what}");
    assert_eq!(blocked.blocking_activity.pid, pid, "{what}");
    assert_eq!(blocked.rel_name.as_deref(), Some(table), "{what}");
    assert!(blocked.rel_of_row, "{what}");
    assert_eq!(blocked.rel_kind, Some(RelKind::Table), "{what}");
    assert_eq!(blocked.schema.as_deref(), Some("public"), "{what}");
    for other in ["orders", "items", "notes"] {
        if other != table {
            assert_eq!(on(&db, other), [], "{other}: {what}");
        }
    }
    let waits_on = pglock::locks().on([table]).granted(false);
    let waits_on = waits_on.fetch(&mut db.connect()).unwrap();
    assert_eq!(waits_on.len(), 1, "{waits_on:#?}");
    let named = pglock::blocked_locks()
        .filter(format!("rel_name={table}"))
        .unwrap();
    assert_eq!(named.fetch(&mut db.connect()).unwrap().len(), 1);
    let graph = pglock::wait_graph().fetch(&mut db.connect()).unwrap();
    let edge = graph.blockers_of(waiter.pid).next().unwrap();
    assert_eq!(edge.lock.rel_name.as_deref(), Some(table), "{what}");

    let hit = pglock::blocked_locks().on([table]);
    let hit = hit.terminate_blocking_activity(&mut db.connect());
    assert_eq!(hit.unwrap(), [pid], "{what}");
    waiter.finish();
}

#[test]
fn every_mode_of_a_row_lock() {
    use LockKind::TransactionId;
    let update = "UPDATE orders SET part = part WHERE id = 1";
    let lock = |mode: &str| format!("SELECT FROM orders WHERE id = 1 FOR {mode}");
    wait_for_a_row_of("orders", update, update, TransactionId);
    wait_for_a_row_of(
        "orders",
        update,
        "DELETE FROM orders WHERE id = 2; DELETE FROM orders WHERE id = 1",
        TransactionId,
    );
    wait_for_a_row_of("orders", update, &lock("UPDATE"), TransactionId);
    wait_for_a_row_of("orders", update, &lock("NO KEY UPDATE"), TransactionId);
    wait_for_a_row_of("orders", update, &lock("SHARE"), TransactionId);
    wait_for_a_row_of("orders", &lock("UPDATE"), &lock("KEY SHARE"), TransactionId);
    wait_for_a_row_of("orders", &lock("SHARE"), update, TransactionId);
    wait_for_a_row_of("orders", &lock("KEY SHARE"), &lock("UPDATE"), TransactionId);
    // Of the table that is referred to, which the waiter does not name.
    wait_for_a_row_of(
        "orders",
        &lock("UPDATE"),
        "INSERT INTO items VALUES (2, 1)",
        TransactionId,
    );
}

/// These waits have no lock on a row, only on its table.
#[test]
fn a_row_that_is_inserted_twice() {
    let insert = "INSERT INTO orders VALUES (7, 7)";
    let upsert = "INSERT INTO orders VALUES (7, 7) ON CONFLICT DO NOTHING";
    wait_for_a_row_of("orders", insert, insert, LockKind::TransactionId);
    wait_for_a_row_of("orders", insert, upsert, LockKind::TransactionId);
    // The waiter has been at another table before, and the holder at a third.
    wait_for_a_row_of(
        "orders",
        &format!("UPDATE items SET order_id = NULL; {insert}"),
        &format!("BEGIN; UPDATE notes SET id = 2; {upsert}; COMMIT"),
        LockKind::TransactionId,
    );
}

/// One of two that share a row wants it for itself, and so waits without a lock on the row.
#[test]
fn one_of_two_that_share_a_row() {
    let share = "SELECT FROM orders WHERE id = 1 FOR SHARE";
    wait_for_a_row_of(
        "orders",
        share,
        &format!(
            "BEGIN; UPDATE notes SET id = 2; {share}; UPDATE orders SET part = 9 WHERE id = 1; COMMIT"
        ),
        LockKind::TransactionId,
    );
    // Both bar the way of a third.
    let db = database();
    db.execute(TABLES);
    let (first, first_pid) = holder(&db, &format!("BEGIN; {share}"));
    let (second, second_pid) = holder(&db, &format!("BEGIN; {share}"));
    let waiter = Waiter::start(&db, "UPDATE orders SET part = 9 WHERE id = 1");
    let mut ended = BTreeSet::new();
    let mut client = db.connect();
    while !ended.contains(&first_pid) || !ended.contains(&second_pid) {
        let hit = pglock::blocked_locks().on(["orders"]);
        ended.extend(hit.terminate_blocking_activity(&mut client).unwrap());
    }
    waiter.finish();
    drop((first, second));
}

/// The second waits for the transaction, the third for the second's lock on the row.
#[test]
fn a_queue_for_a_row() {
    let db = database();
    db.execute(TABLES);
    let update = "UPDATE orders SET part = part WHERE id = 1";
    let (holder, pid) = holder(&db, &format!("BEGIN; {update}"));
    let second = Waiter::start(&db, update);
    let third = Waiter::start(&db, update);
    let kinds: Vec<_> = on(&db, "orders")
        .iter()
        .map(|lock| {
            let pids = (lock.activity.pid, lock.blocking_activity.pid);
            (lock.kind, lock.rel_of_row, pids)
        })
        .collect();
    let expected = [
        (LockKind::TransactionId, true, (second.pid, pid)),
        (LockKind::Tuple, false, (third.pid, second.pid)),
    ];
    assert_eq!(kinds, expected);
    drop(holder);
    second.finish();
    third.finish();
}

/// Between the row and its entries in the indexes others wait for the insertion, not for the transaction.
#[test]
fn a_speculative_insertion() {
    let db = database();
    db.execute(
        "CREATE TABLE orders (id int); CREATE FUNCTION slowly(id int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN id; END'; \
         CREATE UNIQUE INDEX a ON orders (id); CREATE UNIQUE INDEX b ON orders (slowly(id))",
    );
    let upsert = "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO NOTHING";
    let (gate, _) = holder(&db, "SELECT pg_advisory_lock(42)");
    let first = Waiter::start(&db, upsert);
    let second = Waiter::start(&db, upsert);
    let blocked = on(&db, "orders");
    let [blocked] = &blocked[..] else {
        panic!("{:#?}", pglock::locks().fetch(&mut db.connect()).unwrap())
    };
    assert_eq!(blocked.kind, LockKind::SpecToken);
    assert_eq!(
        (blocked.activity.pid, blocked.blocking_activity.pid),
        (second.pid, first.pid)
    );
    assert_eq!(blocked.rel_name.as_deref(), Some("orders"));
    drop(gate);
    first.finish();
    second.finish();
}

/// Where several tables may be meant, none is named; all are asked about.
#[test]
fn a_row_of_one_of_two_tables() {
    let db = database();
    db.execute(TABLES);
    let insert = "INSERT INTO orders VALUES (7, 7)";
    let both = format!("UPDATE notes SET id = id WHERE false; {insert}");
    let (_holder, pid) = holder(&db, &format!("BEGIN; {both}"));
    let waiter = Waiter::start(&db, &format!("BEGIN; {both}; COMMIT"));
    for table in ["orders", "notes"] {
        let found = on(&db, table);
        assert_eq!(found.len(), 1, "{table}");
        assert_eq!(found[0].blocking_activity.pid, pid);
        assert_eq!(found[0].rel_name, None);
    }
    assert_eq!(on(&db, "items"), []);
    db.terminate(pid);
    waiter.finish();
}

/// Who cleans the list of a GIN index waits for another who does, by a lock on its first page.
#[test]
fn a_page_of_an_index() {
    let db = database();
    db.execute(
        "CREATE FUNCTION slowly(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN \
         PERFORM pg_advisory_lock_shared(42); PERFORM pg_advisory_unlock_shared(42); RETURN btint4cmp(a, b); END $$; \
         CREATE OPERATOR CLASS slow_ops FOR TYPE int[] USING gin AS OPERATOR 3 = (anyarray, anyarray), \
         FUNCTION 1 slowly(int, int), FUNCTION 2 ginarrayextract(anyarray, internal, internal), \
         FUNCTION 3 ginqueryarrayextract(anyarray, internal, int2, internal, internal, internal, internal), \
         FUNCTION 4 ginarrayconsistent(internal, int2, anyarray, int4, internal, internal, internal, internal), \
         STORAGE int; \
         CREATE TABLE docs (words int[]) WITH (autovacuum_enabled = false); CREATE TABLE notes (id int); \
         CREATE INDEX of_docs ON docs USING gin (words slow_ops); INSERT INTO docs VALUES ('{1}'), ('{2}')",
    );
    let clean = "SELECT gin_clean_pending_list('of_docs')";
    let (gate, _) = holder(&db, "SELECT pg_advisory_lock(42)");
    let first = Waiter::start(&db, clean);
    let second = Waiter::start(&db, clean);
    let (found, of_another) = (on(&db, "docs"), on(&db, "notes"));
    drop(gate);
    assert_eq!(of_another, []);
    let [blocked] = &found[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(blocked.kind, LockKind::Page);
    assert_eq!(
        (blocked.activity.pid, blocked.blocking_activity.pid),
        (second.pid, first.pid)
    );
    assert_eq!(blocked.rel_name.as_deref(), Some("of_docs"));
    assert_eq!(blocked.rel_kind, Some(RelKind::Index));
    first.finish();
    second.finish();
}
