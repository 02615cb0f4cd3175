//! Every kind of lock that can be made here, and who is in its way.

use std::time::{Duration, SystemTime};

use pglock::{BlockedLock, Lock, LockId, LockKind, LockMode, RelKind, State};
use pglock_tests::{TestDb, database};

use crate::{NOBODY, Waiter, pid_of};

fn locks_of(db: &TestDb, pid: i32) -> Vec<Lock> {
    pglock::locks().pid([pid]).fetch(&mut db.connect()).unwrap()
}

#[test]
fn every_kind_of_relation_is_distinguished() {
    let db = database();
    db.execute(
        "CREATE TABLE a_table (id int PRIMARY KEY, long text); CREATE VIEW a_view AS SELECT 1; \
         CREATE MATERIALIZED VIEW a_matview AS SELECT 1; CREATE SEQUENCE a_sequence; \
         CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TYPE a_type AS (x int); \
         CREATE FOREIGN DATA WRAPPER files; CREATE SERVER files FOREIGN DATA WRAPPER files; \
         CREATE FOREIGN TABLE a_foreign (x text) SERVER files",
    );
    let mut holder = db.connect();
    let pid = pid_of(&mut holder);
    holder
        .batch_execute(
            "BEGIN; DROP TABLE a_table, parts; DROP VIEW a_view; DROP MATERIALIZED VIEW a_matview; \
             DROP SEQUENCE a_sequence; DROP TYPE a_type; DROP FOREIGN TABLE a_foreign",
        )
        .unwrap();
    let locks = locks_of(&db, pid);
    for (name, kind) in [
        ("a_table", RelKind::Table),
        ("a_table_pkey", RelKind::Index),
        ("a_view", RelKind::View),
        ("a_matview", RelKind::MaterializedView),
        ("a_sequence", RelKind::Sequence),
        ("a_type", RelKind::CompositeType),
        ("a_foreign", RelKind::ForeignTable),
        ("parts", RelKind::PartitionedTable),
        ("parts_pkey", RelKind::PartitionedIndex),
    ] {
        let found = locks.iter().find(|lock| {
            lock.rel_name.as_deref() == Some(name) && lock.mode == LockMode::AccessExclusive
        });
        assert_eq!(found.and_then(|lock| lock.rel_kind), Some(kind), "{name}");
    }
    assert!(
        locks
            .iter()
            .any(|lock| lock.rel_kind == Some(RelKind::Toast)
                && lock.schema.as_deref() == Some("pg_toast"))
    );
}

#[test]
fn advisory_locks_are_listed_with_their_keys() {
    let db = database();
    let mut holder = db.connect();
    holder
        .batch_execute(
            "SELECT pg_advisory_lock(-7); SELECT pg_advisory_lock_shared(-1, 2); SELECT pg_advisory_lock(9223372036854775807)",
        )
        .unwrap();
    let (classid, objid) = pglock::advisory_id("hello");
    let hello = i64::from(classid) << 32 | i64::from(objid);
    holder
        .execute("SELECT pg_advisory_lock($1)", &[&hello])
        .unwrap();
    // Another database's are not this one's.
    let elsewhere = database();
    elsewhere.execute("SELECT 1");
    let mut stranger = elsewhere.connect();
    stranger
        .batch_execute("SELECT pg_advisory_lock(1234)")
        .unwrap();

    let locks = pglock::locks()
        .filter("kind=ADVISORY")
        .unwrap()
        .fetch(&mut db.connect())
        .unwrap();
    assert_eq!(locks.len(), 4, "{locks:#?}");
    let of = |id: LockId| {
        locks
            .iter()
            .filter(|lock| lock.is_advisory(id.clone()))
            .collect::<Vec<_>>()
    };
    for (id, mode) in [
        (LockId::Key(-7), LockMode::Exclusive),
        (LockId::Key(i64::MAX), LockMode::Exclusive),
        (LockId::Pair(-1, 2), LockMode::Share),
        (LockId::from("hello"), LockMode::Exclusive),
    ] {
        let [lock] = of(id.clone())[..] else {
            panic!("{id}: {locks:#?}")
        };
        assert_eq!(lock.mode, mode);
        assert_eq!(lock.rel_kind, None);
        if let LockId::Key(_) | LockId::Pair(..) = id {
            assert_eq!(lock.advisory_key, Some(id));
        } else {
            assert_eq!((lock.classid, lock.objid), (Some(classid), Some(objid)));
        }
    }
    assert!(of(LockId::from("")).is_empty() && of(LockId::Pair(-7, -7)).is_empty());
}

#[test]
fn row_locks_are_listed_as_tuples_and_transactions() {
    let db = database();
    db.execute("CREATE TABLE rows (id int); INSERT INTO rows VALUES (1)");
    let mut holder = db.connect();
    let holder_pid = pid_of(&mut holder);
    holder
        .batch_execute("BEGIN; UPDATE rows SET id = 2")
        .unwrap();
    let second = Waiter::start(&db, "UPDATE rows SET id = 3");
    let third = Waiter::start(&db, "UPDATE rows SET id = 4");

    let waiting = |pid| -> Vec<BlockedLock> {
        let blocked = pglock::blocked_locks().fetch(&mut db.connect()).unwrap();
        blocked
            .into_iter()
            .filter(|lock| lock.activity.pid == pid)
            .collect()
    };
    let [for_transaction] = &waiting(second.pid)[..] else {
        panic!("{:#?}", waiting(second.pid))
    };
    assert_eq!(for_transaction.kind, LockKind::TransactionId);
    assert_eq!(for_transaction.mode, LockMode::Share);
    assert!(!for_transaction.granted);
    assert_eq!(for_transaction.blocking_activity.pid, holder_pid);
    let [for_tuple] = &waiting(third.pid)[..] else {
        panic!("{:#?}", waiting(third.pid))
    };
    assert_eq!(for_tuple.kind, LockKind::Tuple);
    assert_eq!(for_tuple.rel_name.as_deref(), Some("rows"));
    assert_eq!(for_tuple.blocking_activity.pid, second.pid);
    assert_eq!(for_tuple.activity.state, Some(State::Active));
    assert_eq!(for_tuple.activity.wait_event_type.as_deref(), Some("LOCK"));
    assert!(for_tuple.wait_start.unwrap() <= SystemTime::now());
    assert!(for_tuple.wait_duration.unwrap() < Duration::from_secs(60));

    holder.batch_execute("ROLLBACK").unwrap();
    second.finish();
    third.finish();
}

#[test]
fn virtual_transactions_objects_and_reads_are_listed() {
    let db = database();
    db.execute("CREATE TABLE indexed (id int); CREATE SCHEMA dropped");
    let mut holder = db.connect();
    let pid = pid_of(&mut holder);
    holder
        .batch_execute(
            "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM indexed; DROP SCHEMA dropped",
        )
        .unwrap();
    let locks = locks_of(&db, pid);
    assert!(locks.iter().any(|lock| lock.kind == LockKind::Object
        && lock.mode == LockMode::AccessExclusive
        && lock.advisory_key.is_none()));
    assert!(locks.iter().any(|lock| lock.mode == LockMode::SiRead));
    assert!(
        locks
            .iter()
            .any(|lock| lock.kind == LockKind::VirtualXid && lock.granted)
    );

    let waiter = Waiter::start(&db, "CREATE INDEX CONCURRENTLY ON indexed (id)");
    let blocked = pglock::blocked_locks()
        .pid([waiter.pid])
        .fetch(&mut db.connect())
        .unwrap();
    assert_eq!(blocked.len(), 1, "{blocked:#?}");
    assert_eq!(blocked[0].kind, LockKind::VirtualXid);
    assert_eq!(blocked[0].blocking_activity.pid, pid);
    holder.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
}

#[test]
fn each_blocker_has_a_row() {
    let db = database();
    let mut holders = [db.connect(), db.connect()];
    let mut pids = holders.each_mut().map(pid_of);
    for holder in &mut holders {
        holder
            .batch_execute("SELECT pg_advisory_lock_shared(5)")
            .unwrap();
    }
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(5)");
    // It is ahead in the queue for this one, which the holders would let in.
    let behind = Waiter::start(&db, "SELECT pg_advisory_lock_shared(5)");
    let mut client = db.connect();
    let blocked = pglock::blocked_locks().fetch(&mut client).unwrap();
    let mut pairs: Vec<_> = blocked
        .iter()
        .map(|lock| (lock.activity.pid, lock.blocking_activity.pid))
        .collect();
    pairs.sort_unstable();
    pids.sort_unstable();
    let mut expected = vec![(behind.pid, waiter.pid)];
    expected.extend(pids.map(|pid| (waiter.pid, pid)));
    expected.sort_unstable();
    assert_eq!(pairs, expected);
    assert!(
        blocked
            .iter()
            .all(|lock| lock.is_advisory(5) && !lock.granted)
    );

    // Those of a pid come with those of its blockers, as in django-pglock.
    let asked = pglock::blocked_locks().pid([behind.pid]);
    assert_eq!(asked.clone().fetch(&mut client).unwrap().len(), 3);
    let asked = pglock::blocked_locks().pid([waiter.pid]);
    assert_eq!(asked.fetch(&mut client).unwrap().len(), 2);
    assert!(
        pglock::blocked_locks()
            .pid(pids)
            .fetch(&mut client)
            .unwrap()
            .is_empty()
    );
    drop(holders);
    waiter.finish();
    behind.finish();
}

#[test]
fn a_prepared_transaction_has_no_pid() {
    let server = pglock_tests::Server::builder()
        .setting("max_prepared_transactions", "2")
        .start();
    let db = server.create_database();
    db.execute("CREATE TABLE kept (id int)");
    db.execute("BEGIN; LOCK TABLE kept; INSERT INTO kept VALUES (1); PREPARE TRANSACTION 'p'");
    let waiter = Waiter::start(&db, "SELECT FROM kept");
    let mut client = db.connect();
    let locks = pglock::locks()
        .granted(true)
        .on(["kept"])
        .fetch(&mut client)
        .unwrap();
    assert!(!locks.is_empty() && locks.iter().all(|lock| lock.activity.pid == 0));
    assert_eq!(locks[0].activity.query, None);
    let locks = pglock::locks().pid([0]).fetch(&mut client).unwrap();
    assert!(
        locks
            .iter()
            .any(|lock| lock.kind == LockKind::TransactionId)
    );
    let blocked = pglock::blocked_locks()
        .on(["kept"])
        .fetch(&mut client)
        .unwrap();
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0].blocking_activity.pid, 0);
    assert_eq!(blocked[0].blocking_activity.state, None);
    let hit = pglock::blocked_locks().terminate_blocking_activity(&mut client);
    assert_eq!(hit.unwrap(), NOBODY);
    db.execute("ROLLBACK PREPARED 'p'");
    waiter.finish();
}
