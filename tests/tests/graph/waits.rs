//! What an edge is: who waits for whom, and whether that one has the lock.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use pglock::{LockId, LockKind, LockMode, State, TableMode};
use pglock_tests::{Waiter, database, pid_of};

use crate::{edges, graph_of, holder, roots};

#[test]
fn an_edge_has_the_lock_and_both_sessions() {
    let db = database();
    db.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders ()");
    let (mut holder, holder_pid) = holder(&db, "BEGIN; LOCK TABLE shop.orders IN SHARE MODE");
    let waiter = Waiter::start(&db, "INSERT INTO shop.orders DEFAULT VALUES");
    let graph = graph_of(&db);
    assert_eq!(graph.edges().len(), 1, "{graph:#?}");
    let edge = graph.edges().next().unwrap();
    assert_eq!(edge.waiter.activity.pid, waiter.pid);
    assert_eq!(edge.blocker.activity.pid, holder_pid);
    assert!(edge.hard);
    assert_eq!(edge.lock.kind, LockKind::Relation);
    assert_eq!(edge.lock.mode, TableMode::RowExclusive);
    assert_eq!(edge.lock.schema.as_deref(), Some("shop"));
    assert_eq!(edge.lock.rel_name.as_deref(), Some("orders"));
    assert!(!edge.lock.granted);
    assert_eq!(edge.lock.activity.pid, waiter.pid);
    assert!(edge.lock.wait_start.unwrap() <= SystemTime::now() + Duration::from_secs(1));
    assert!(edge.lock.wait_duration.unwrap() < Duration::from_secs(60));
    assert_eq!(edge.waiter.activity.state, Some(State::Active));
    let root = &graph.roots()[0].activity;
    assert_eq!(root.pid, holder_pid);
    assert_eq!(root.state, Some(State::IdleInTransaction));
    assert_eq!(root.application_name.as_deref(), Some("holder"));
    assert!(root.query.as_deref().unwrap().contains("IN SHARE MODE"));
    assert_eq!(edge.blocker.prepared, None);

    assert_eq!(graph.blockers_of(waiter.pid).collect::<Vec<_>>(), [edge]);
    assert_eq!(graph.blocked_by(holder_pid).collect::<Vec<_>>(), [edge]);
    assert_eq!(graph.blockers_of(holder_pid).count(), 0);
    assert_eq!(graph.blocked_by(waiter.pid).count(), 0);

    let tree = graph.to_string();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with(&format!("pid {holder_pid} (\"holder\", user "))
            && lines[0].contains(", IDLE_IN_TRANSACTION, last statement ")
            && lines[0].ends_with(" ago: BEGIN; LOCK TABLE shop.orders IN SHARE MODE")
            && lines[1].starts_with(&format!("└─ pid {} (\"waiter\", ", waiter.pid))
            && lines[1].ends_with(
                " for ROW_EXCLUSIVE on table shop.orders: INSERT INTO shop.orders DEFAULT VALUES"
            ),
        "{tree}"
    );
    holder.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
    assert!(graph_of(&db).is_empty());
}

#[test]
fn rows_are_waited_for_by_transaction_and_by_tuple() {
    let db = database();
    db.execute("CREATE TABLE rows (id int); INSERT INTO rows VALUES (1)");
    let (mut holder, holder_pid) = holder(&db, "BEGIN; UPDATE rows SET id = 2");
    let second = Waiter::start(&db, "UPDATE rows SET id = 3");
    // By table, although the lock that is waited for names none: the sessions have locks on it besides.
    db.execute("CREATE TABLE others ()");
    let on = |table| {
        let query = pglock::wait_graph().on([table]);
        query.fetch(&mut db.connect()).unwrap()
    };
    assert_eq!(edges(&on("rows")), edges(&graph_of(&db)));
    assert_eq!(graph_of(&db).edges().len(), 1);
    assert!(on("others").is_empty());

    let third = Waiter::start(&db, "UPDATE rows SET id = 4");
    let graph = graph_of(&db);
    // A chain of three.
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (second.pid, holder_pid, true),
            (third.pid, second.pid, true)
        ])
    );
    assert_eq!(roots(&graph), [holder_pid]);
    let lock = graph.blockers_of(second.pid).next().unwrap().lock;
    assert_eq!(lock.kind, LockKind::TransactionId);
    let lock = graph.blockers_of(third.pid).next().unwrap().lock;
    assert_eq!(lock.kind, LockKind::Tuple);
    assert_eq!(lock.rel_name.as_deref(), Some("rows"));
    let tree = graph.to_string();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(
        lines[1].starts_with("└─ pid ")
            && lines[1].contains(" for SHARE on a transaction, for a row of public.")
    );
    assert!(lines[2].starts_with("   └─ pid ") && lines[2].contains(" on a row of public.rows: "));
    holder.batch_execute("ROLLBACK").unwrap();
    second.finish();
    third.finish();
}

#[test]
fn an_idle_session_that_holds_an_advisory_lock_is_a_root() {
    let db = database();
    let (holder, holder_pid) = holder(&db, "SELECT pg_advisory_lock(7)");
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock_shared(7)");
    let graph = graph_of(&db);
    let edge = graph.edges().next().unwrap();
    assert_eq!(edge.lock.kind, LockKind::Advisory);
    assert_eq!(edge.lock.mode, LockMode::Share);
    assert_eq!(edge.lock.advisory_key, Some(LockId::Key(7)));
    assert_eq!(graph.roots()[0].activity.state, Some(State::Idle));
    assert_eq!(roots(&graph), [holder_pid]);
    assert!(
        graph
            .to_string()
            .contains(" for SHARE on advisory lock 7: ")
    );
    drop(holder);
    waiter.finish();
}

#[test]
fn queued_sessions_are_distinguished_from_holders() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut reader, reader_pid) = holder(&db, "BEGIN; SELECT FROM orders");
    let writer = Waiter::start(&db, "ALTER TABLE orders ADD id int");
    let behind = Waiter::start(&db, "SELECT FROM orders");
    let graph = graph_of(&db);
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (writer.pid, reader_pid, true),
            (behind.pid, writer.pid, false)
        ])
    );
    assert_eq!(roots(&graph), [reader_pid]);
    let tree = graph.to_string();
    let last = tree.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("   └─ pid {} ", behind.pid))
            && last.contains(" is queued behind it "),
        "{tree}"
    );
    reader.batch_execute("ROLLBACK").unwrap();
    writer.finish();
    behind.finish();
}

#[test]
fn who_has_a_weak_lock_and_waits_for_a_strong_one_blocks_readers_softly() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut reader, reader_pid) = holder(&db, "BEGIN; SELECT FROM orders");
    let (upgrading, _) = holder(&db, "BEGIN; SELECT FROM orders");
    let upgrading = Waiter::of(&db, upgrading, "LOCK TABLE orders");
    let behind = Waiter::start(&db, "SELECT FROM orders");
    // It holds a lock on the table, but none that keeps a reader out.
    assert_eq!(
        edges(&graph_of(&db)),
        BTreeSet::from([
            (upgrading.pid, reader_pid, true),
            (behind.pid, upgrading.pid, false)
        ])
    );
    reader.batch_execute("ROLLBACK").unwrap();
    upgrading.finish();
    behind.finish();
}

#[test]
fn a_diamond_has_one_root_and_its_foot_is_described_once() {
    let db = database();
    let (root, root_pid) = holder(&db, "SELECT pg_advisory_lock(1)");
    let [left, right] = [(); 2].map(|()| {
        let (client, _) = holder(&db, "SELECT pg_advisory_lock_shared(2)");
        Waiter::of(&db, client, "SELECT pg_advisory_lock_shared(1)")
    });
    let foot = Waiter::start(&db, "SELECT 'the foot', pg_advisory_lock(2)");
    let graph = graph_of(&db);
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (left.pid, root_pid, true),
            (right.pid, root_pid, true),
            (foot.pid, left.pid, true),
            (foot.pid, right.pid, true)
        ])
    );
    assert_eq!(roots(&graph), [root_pid]);
    assert!(graph.cycles().is_empty());
    assert_eq!(graph.sessions().len(), 4);
    let tree = graph.to_string();
    assert_eq!(tree.lines().count(), 5, "{tree}");
    assert_eq!(tree.matches("'the foot'").count(), 1, "{tree}");
    let last = tree.lines().last().unwrap();
    assert_eq!(last, format!("   └─ also blocks {}", foot.pid), "{tree}");
    drop(root);
    for waiter in [left, right, foot] {
        waiter.finish();
    }
}

#[test]
fn a_holder_blocks_exactly_the_conflicting_modes() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut holder = db.connect();
    let holder_pid = pid_of(&mut holder);
    let mut looker = db.connect();
    let mut conflicts = 0;
    for held in TableMode::ALL {
        for wanted in TableMode::ALL {
            let mut tx = holder.transaction().unwrap();
            pglock::table("orders").mode(held).lock(&mut tx).unwrap();
            let mut trying = looker.transaction().unwrap();
            let free = pglock::table("orders").mode(wanted).try_lock(&mut trying);
            trying.rollback().unwrap();
            if !free.unwrap() {
                conflicts += 1;
                let mode = wanted.as_str().replace('_', " ");
                let wait = format!("BEGIN; LOCK TABLE orders IN {mode} MODE; COMMIT");
                let waiter = Waiter::start(&db, &wait);
                let graph = pglock::wait_graph().fetch(&mut looker).unwrap();
                let expected = BTreeSet::from([(waiter.pid, holder_pid, true)]);
                assert_eq!(edges(&graph), expected, "{wanted} while {held} is held");
                tx.rollback().unwrap();
                waiter.finish();
            }
        }
    }
    // Those of the table in the manual.
    assert_eq!(conflicts, 38);
}
