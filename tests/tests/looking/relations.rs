//! Locks on what belongs to a table without being it, and on what has no name yet.

use pglock::{LockKind, RelKind, Timeout};
use pglock_tests::{TestDb, Waiter, database, pid_of};
use postgres::Client;

const RELATIONS: &str = "CREATE TABLE ev (id int) PARTITION BY LIST (id); \
     CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1) PARTITION BY LIST (id); \
     CREATE TABLE ev_1_1 PARTITION OF ev_1 FOR VALUES IN (1); INSERT INTO ev VALUES (1); \
     CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1); \
     CREATE TABLE base (id int); INSERT INTO base VALUES (1); \
     CREATE VIEW inner_view AS SELECT * FROM base; CREATE VIEW outer_view AS SELECT id FROM inner_view; \
     CREATE TABLE other (id int)";

/// What is locked with it, and by what of that it is to be found.
const BELOW: [(&str, &str); 4] = [
    ("ev", "ev_1_1"),
    ("ev_1", "ev_1_1"),
    ("parent", "child"),
    ("outer_view", "base"),
];

fn holder(db: &TestDb, statements: &str) -> (Client, i32) {
    let mut client = db.connect_as("holder");
    let pid = pid_of(&mut client);
    client.batch_execute(statements).unwrap();
    (client, pid)
}

/// Of sessions that a lock or a row below the table keeps waiting, all are found by the table, and what they wait for.
fn found_by_the_table(holds: &str, waits: &str) {
    for (table, below) in BELOW {
        let db = database();
        db.execute(RELATIONS);
        let (_holder, pid) = holder(&db, &format!("BEGIN; {}", holds.replace("below", below)));
        let mut client = db.connect();
        let held = pglock::locks().on([table]).granted(true);
        let held = held.fetch(&mut client).unwrap();
        let is_below = |lock: &pglock::Lock| lock.rel_name.as_deref() == Some(below);
        assert!(held.iter().any(is_below), "{table}: {held:#?}");
        let waiter = Waiter::start(&db, &waits.replace("below", below));
        let blocked = || pglock::blocked_locks().on([table]);
        let found = blocked().fetch(&mut client).unwrap();
        let [found] = &found[..] else {
            panic!("{table}: {found:#?}")
        };
        assert_eq!(found.activity.pid, waiter.pid, "{table}");
        assert_eq!(found.rel_name.as_deref(), Some(below), "{table}");
        let graph = |table: &str| {
            let graph = pglock::wait_graph().on([table]);
            graph.fetch(&mut db.connect()).unwrap()
        };
        assert_eq!(graph(table).sessions().len(), 2, "{table}");
        assert!(graph("other").is_empty());
        let other = pglock::locks().on(["other"]);
        assert_eq!(other.fetch(&mut client).unwrap(), [], "{table}");
        let ended = blocked().terminate_blocking_activity(&mut client);
        assert_eq!(ended.unwrap(), [pid], "{table}");
        waiter.finish();
    }
}

#[test]
fn on_finds_locks_on_partitions_children_and_what_a_view_reads() {
    let lock = "LOCK TABLE ONLY below";
    found_by_the_table(lock, &format!("BEGIN; {lock}; COMMIT"));
}

#[test]
fn on_finds_waits_for_their_rows() {
    let update = "UPDATE below SET id = 1";
    found_by_the_table(update, update);
}

#[test]
fn the_holder_of_a_table_is_also_that_of_a_part_of_it() {
    let db = database();
    db.execute(RELATIONS);
    for (table, below) in BELOW {
        let (_holder, pid) = holder(&db, &format!("BEGIN; LOCK TABLE ONLY {below}"));
        let mut client = db.connect();
        let mut tx = client.transaction().unwrap();
        let lock = pglock::table(table).timeout(Timeout::ZERO);
        let busy = lock.lock(&mut tx).unwrap_err();
        assert!(busy.is_busy(), "{busy}");
        assert_eq!(
            busy.holder().map(|holder| holder.pid),
            Some(pid),
            "{table}: {busy}"
        );
    }
}

#[test]
fn a_table_that_is_not_committed_has_its_oid() {
    let db = database();
    let (mut creator, pid) = holder(&db, "BEGIN; CREATE TABLE fresh ()");
    let sql = "SELECT 'fresh'::regclass::oid";
    let oid: u32 = creator.query_one(sql, &[]).unwrap().get(0);
    let seen = || {
        let locks = pglock::locks()
            .pid([pid])
            .filter(format!("rel_oid={oid}"))
            .unwrap();
        let locks = locks.fetch(&mut db.connect()).unwrap();
        let [lock] = &locks[..] else {
            panic!("{locks:#?}")
        };
        (lock.rel_oid, lock.rel_name.clone(), lock.rel_kind)
    };
    assert_eq!(seen(), (Some(oid), None, None));
    creator
        .batch_execute("COMMIT; BEGIN; LOCK TABLE fresh")
        .unwrap();
    let named = (Some(oid), Some("fresh".to_owned()), Some(RelKind::Table));
    assert_eq!(seen(), named);
}

#[test]
fn objects_are_named() {
    let db = database();
    db.execute("CREATE SCHEMA sales; CREATE TYPE sales.mood AS ENUM ('so'); CREATE FUNCTION sales.f() RETURNS int LANGUAGE sql RETURN 1");
    let (holder, _) = holder(
        &db,
        "BEGIN; CREATE TABLE sales.orders (); ALTER TYPE sales.mood ADD VALUE 'la'; DROP FUNCTION sales.f(); \
         COMMENT ON DATABASE postgres IS NULL; CREATE SCHEMA uncommitted",
    );
    let waiter = Waiter::start(&db, "DROP SCHEMA sales CASCADE");
    let objects = || pglock::locks().filter("kind=OBJECT").unwrap();
    let locks = objects().fetch(&mut db.connect()).unwrap();
    let named: Vec<&str> = locks
        .iter()
        .filter_map(|lock| lock.object.as_deref())
        .collect();
    for object in ["schema sales", "type sales.mood", "function sales.f()"] {
        assert!(named.contains(&object), "{object}: {named:?}");
    }
    assert!(locks.iter().all(|lock| lock.kind == LockKind::Object));
    let filtered = objects().filter("object__startswith=schema").unwrap();
    assert!(!filtered.fetch(&mut db.connect()).unwrap().is_empty());
    let tree = pglock::wait_graph()
        .fetch(&mut db.connect())
        .unwrap()
        .to_string();
    assert!(tree.contains("ACCESS_EXCLUSIVE on schema sales"), "{tree}");
    drop(holder);
    waiter.finish();
}
