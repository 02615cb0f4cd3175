//! Table locks in transactions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pglock::{ErrorKind, Model, TableMode, Timeout};
use pglock_tests::{BOUND, TestDb, database, wait_until, wait_until_async};
use postgres::Client;
use postgres::error::SqlState;
use tokio_postgres::NoTls;

struct Order;

impl Model for Order {
    const TABLE: &'static str = "orders";
}

fn with_tables() -> TestDb {
    let db = database();
    db.execute(
        r#"CREATE TABLE orders (id int); CREATE TABLE "Order" (id int); CREATE TABLE "weird""na.me" (id int);
           CREATE TABLE "Überweisung 表" (id int); CREATE SCHEMA billing; CREATE TABLE billing.invoices (id int)"#,
    );
    db
}

/// The granted locks on ordinary tables, as `relation mode`, seen from another session.
fn table_locks(observer: &mut Client) -> Vec<String> {
    let rows = observer.query(
        "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         WHERE l.locktype = 'relation' AND l.granted AND c.relkind = 'r' AND l.relation >= 16384 ORDER BY 1, 2",
        &[],
    );
    rows.unwrap()
        .iter()
        .map(|row| format!("{} {}", row.get::<_, String>(0), row.get::<_, String>(1)))
        .collect()
}

#[test]
fn every_mode_is_what_pg_locks_shows() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    for mode in TableMode::ALL {
        let mut tx = client.transaction().unwrap();
        pglock::table("orders").mode(mode).lock(&mut tx).unwrap();
        let spelled: String = mode
            .as_str()
            .split('_')
            .map(|word| word[..1].to_owned() + &word[1..].to_lowercase())
            .collect();
        assert_eq!(
            table_locks(&mut observer),
            [format!("orders {spelled}Lock")]
        );
        tx.commit().unwrap();
        assert!(table_locks(&mut observer).is_empty());
    }
}

#[test]
fn several_tables_are_locked_by_one_statement_and_odd_names_are_quoted() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    let mut tx = client.transaction().unwrap();
    pglock::tables([Order::TABLE, "Order", "billing.invoices", "Überweisung 表"])
        .lock(&mut tx)
        .unwrap();
    assert!(
        pglock::table(("public", "weird\"na.me"))
            .try_lock(&mut tx)
            .unwrap()
    );
    assert_eq!(
        table_locks(&mut observer),
        [
            "\"Order\" AccessExclusiveLock",
            "\"weird\"\"na.me\" AccessExclusiveLock",
            "\"Überweisung 表\" AccessExclusiveLock",
            "billing.invoices AccessExclusiveLock",
            "orders AccessExclusiveLock",
        ]
    );
    tx.rollback().unwrap();
    let mut tx = client.transaction().unwrap();
    pglock::model::<Order>()
        .mode(TableMode::Share)
        .lock(&mut tx)
        .unwrap();
    assert_eq!(table_locks(&mut observer), ["orders ShareLock"]);
}

#[test]
fn busy_tables_leave_the_transaction_usable_and_name_the_holder() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect_as("reader"), db.connect());
    holder.batch_execute("BEGIN; SELECT FROM orders").unwrap();
    let mut tx = client.transaction().unwrap();
    tx.batch_execute("SET LOCAL lock_timeout = '77s'; CREATE TABLE made_before ()")
        .unwrap();

    assert!(!pglock::table("orders").try_lock(&mut tx).unwrap());
    assert!(
        !pglock::table("orders")
            .timeout(Duration::from_millis(50))
            .try_lock(&mut tx)
            .unwrap()
    );
    let began = Instant::now();
    let error = pglock::tables(["orders", "Order"])
        .timeout(Duration::from_millis(200))
        .lock(&mut tx)
        .unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.holder().unwrap().application_name, "reader");
    assert!(
        error
            .to_string()
            .contains(r#"lock on tables "orders", "Order" is busy"#),
        "{error}"
    );
    let error = pglock::table("orders")
        .timeout(Duration::ZERO)
        .lock(&mut tx)
        .unwrap_err();
    assert!(error.is_busy());

    // A weaker mode is no conflict, and all is as it was before.
    assert!(
        pglock::table("orders")
            .mode(TableMode::RowExclusive)
            .try_lock(&mut tx)
            .unwrap()
    );
    let lock_timeout: String = tx.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(lock_timeout, "77s");
    tx.commit().unwrap();
    client.batch_execute("SELECT FROM made_before").unwrap();
}

#[test]
fn a_lock_waits_until_the_holder_is_done() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect(), db.connect());
    let mut held = holder.transaction().unwrap();
    pglock::table("orders").lock(&mut held).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut tx = client.transaction().unwrap();
            let result = pglock::table("orders").lock(&mut tx);
            tx.commit().unwrap();
            result
        });
        wait_until("it waits", BOUND, || !db.blocked_pids().is_empty());
        held.commit().unwrap();
        waiter.join().unwrap().unwrap();
    });
}

/// The table of the manual, read row by row: the mode that is asked for, and the held ones that keep it out.
const CONFLICTS: [(TableMode, &[TableMode]); 8] = {
    use TableMode::{
        AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
        ShareUpdateExclusive,
    };
    [
        (AccessShare, &[AccessExclusive]),
        (RowShare, &[Exclusive, AccessExclusive]),
        (
            RowExclusive,
            &[Share, ShareRowExclusive, Exclusive, AccessExclusive],
        ),
        (
            ShareUpdateExclusive,
            &[
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            Share,
            &[
                RowExclusive,
                ShareUpdateExclusive,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            ShareRowExclusive,
            &[
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            Exclusive,
            &[
                RowShare,
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (AccessExclusive, &TableMode::ALL),
    ]
};

#[test]
fn modes_keep_each_other_out_and_the_holder_of_each_is_named() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect_as("holder"), db.connect());
    for held_mode in TableMode::ALL {
        let mut held = holder.transaction().unwrap();
        let table = || pglock::table("orders");
        table().mode(held_mode).lock(&mut held).unwrap();
        for (mode, kept_out_by) in CONFLICTS {
            let mut tx = client.transaction().unwrap();
            let free = table().mode(mode).try_lock(&mut tx).unwrap();
            assert_eq!(
                free,
                !kept_out_by.contains(&held_mode),
                "{mode}, {held_mode}"
            );
            if !free {
                let at_once = table().mode(mode).timeout(Duration::ZERO);
                let error = at_once.lock(&mut tx).unwrap_err();
                let holder = error.holder().expect("it is seen");
                assert_eq!(holder.application_name, "holder", "{mode}, {held_mode}");
            }
        }
    }
}

#[test]
fn nobody_reads_or_writes_a_table_that_is_locked_as_a_whole() {
    let db = with_tables();
    let (mut holder, mut other) = (db.connect(), db.connect());
    other.batch_execute("SET lock_timeout = '20ms'").unwrap();
    for (mode, reads, writes) in [
        (None, false, false),
        (Some(TableMode::Exclusive), true, false),
        (Some(TableMode::AccessShare), true, true),
    ] {
        let mut held = holder.transaction().unwrap();
        let table = pglock::table("orders");
        let table = match mode {
            Some(mode) => table.mode(mode),
            None => table,
        };
        table.lock(&mut held).unwrap();
        let mut can = |statement| match other.batch_execute(statement) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
                false
            }
        };
        assert_eq!(can("SELECT FROM orders"), reads, "{mode:?}");
        assert_eq!(can("DELETE FROM orders"), writes, "{mode:?}");
        held.commit().unwrap();
    }
}

#[test]
fn a_lock_ends_with_the_savepoint_that_is_rolled_back_or_with_the_transaction() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    let mut tx = client.transaction().unwrap();
    let mut inner = tx.transaction().unwrap();
    pglock::table("orders").lock(&mut inner).unwrap();
    assert_eq!(table_locks(&mut observer), ["orders AccessExclusiveLock"]);
    inner.rollback().unwrap();
    assert!(table_locks(&mut observer).is_empty());
    let mut inner = tx.transaction().unwrap();
    pglock::table("orders").lock(&mut inner).unwrap();
    inner.commit().unwrap();
    assert_eq!(table_locks(&mut observer), ["orders AccessExclusiveLock"]);
    tx.commit().unwrap();
    assert!(table_locks(&mut observer).is_empty());
}

/// Each of the locks is waited for, for less than the timeout; and longer, all together.
#[track_caller]
fn one_bound_for_all_of(db: &TestDb, held: &[&str], table: &[&str]) {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (at, table) in (1..).zip(held) {
            let mut holder = db.connect();
            let (holds, has_it) = std::sync::mpsc::channel();
            let ends = &ends;
            scope.spawn(move || {
                let mut held = holder.transaction().unwrap();
                held.batch_execute(&format!("LOCK TABLE {table}")).unwrap();
                let until = Instant::now() + at * Duration::from_millis(400);
                holds.send(()).unwrap();
                while Instant::now() < until && !ends.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                held.commit().unwrap();
            });
            has_it.recv().unwrap();
        }
        let mut client = db.connect();
        let mut tx = client.transaction().unwrap();
        tx.batch_execute("SET LOCAL statement_timeout = '1min'")
            .unwrap();
        let began = Instant::now();
        let locked = pglock::tables(table.iter().copied())
            .timeout(Duration::from_millis(600))
            .lock(&mut tx);
        let waited = began.elapsed();
        ends.store(true, Ordering::Relaxed);
        let error = locked.expect_err("it has all of them, after more than the timeout");
        assert!(error.is_busy(), "{error}");
        assert!(
            error.to_string().contains("after a wait of 600 ms"),
            "{error}"
        );
        assert!(waited >= Duration::from_millis(600), "{waited:?}");
        assert!(waited < Duration::from_secs(1), "{waited:?}");
        let kept: String = tx.query_one("SHOW statement_timeout", &[]).unwrap().get(0);
        assert_eq!(kept, "1min");
        // With those who waited gone, it is acquired, and leaves the settings as they were.
        pglock::tables(table.iter().copied())
            .timeout(BOUND)
            .lock(&mut tx)
            .unwrap();
        let kept = tx.query_one(
            "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')",
            &[],
        );
        assert_eq!(kept.unwrap().get::<_, String>(0), "1min 0");
    });
}

#[test]
fn the_timeout_is_one_bound_for_all_tables_of_a_call() {
    let db = with_tables();
    let tables = ["orders", "\"Order\"", "billing.invoices"];
    one_bound_for_all_of(&db, &tables, &["orders", "Order", "billing.invoices"]);
}

#[test]
fn the_timeout_is_one_bound_for_all_partitions_of_a_table() {
    let db = database();
    db.execute(
        "CREATE TABLE events (day int) PARTITION BY LIST (day); \
         CREATE TABLE monday PARTITION OF events FOR VALUES IN (1); \
         CREATE TABLE tuesday PARTITION OF events FOR VALUES IN (2); \
         CREATE TABLE wednesday PARTITION OF events FOR VALUES IN (3)",
    );
    one_bound_for_all_of(&db, &["monday", "tuesday", "wednesday"], &["events"]);
}

#[test]
fn many_free_partitions_are_locked_within_a_timeout_that_is_over_at_once() {
    let db = database();
    db.execute(
        "CREATE TABLE events (day int) PARTITION BY LIST (day); \
         DO $$ BEGIN FOR day IN 1..300 LOOP EXECUTE format('CREATE TABLE day_%s PARTITION OF events FOR VALUES IN (%s)', day, day); END LOOP; END $$",
    );
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    pglock::table("events")
        .timeout(Duration::from_millis(1))
        .lock(&mut tx)
        .unwrap();
}

#[test]
fn a_shorter_statement_timeout_of_the_sessions_own_ends_the_wait_as_that() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect(), db.connect());
    let mut held = holder.transaction().unwrap();
    pglock::table("orders").lock(&mut held).unwrap();
    let mut tx = client.transaction().unwrap();
    tx.batch_execute("SET LOCAL statement_timeout = '50ms'")
        .unwrap();
    let error = pglock::table("orders").timeout(BOUND).lock(&mut tx);
    let error = error.unwrap_err();
    assert!(error.is_database(), "{error}");
    assert_eq!(error.sql_state(), Some(&SqlState::QUERY_CANCELED));
}

#[test]
fn without_a_timeout_a_lock_is_waited_for_as_long_as_the_session_says() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect_as("holder"), db.connect());
    let mut held = holder.transaction().unwrap();
    pglock::table("orders").lock(&mut held).unwrap();
    let mut impatient = pglock::timeout(Duration::from_millis(20))
        .on(&mut client)
        .unwrap();
    let mut tx = impatient.transaction().unwrap();
    let error = pglock::table("orders").lock(&mut tx).unwrap_err();
    assert_eq!(
        error.holder().unwrap().application_name,
        "holder",
        "{error}"
    );
    tx.batch_execute("SELECT 1").unwrap();
}

#[test]
fn without_any_timeout_a_lock_is_waited_for_without_end() {
    let db = with_tables();
    let (mut holder, mut client, mut observer) = (db.connect(), db.connect(), db.connect());
    for (set, forever) in [("0", None), ("20ms", Some(Timeout::FOREVER))] {
        client
            .batch_execute(&format!("SET lock_timeout = '{set}'"))
            .unwrap();
        let mut held = holder.transaction().unwrap();
        pglock::table("orders").lock(&mut held).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut tx = client.transaction().unwrap();
                let table = pglock::table("orders");
                match forever {
                    Some(forever) => table.timeout(forever).lock(&mut tx),
                    None => table.lock(&mut tx),
                }
            });
            let long = pglock::locks()
                .granted(false)
                .filter("wait_duration__gt=60 milliseconds")
                .unwrap();
            wait_until("it has waited for longer", BOUND, || {
                !long.clone().fetch(&mut observer).unwrap().is_empty()
            });
            held.commit().unwrap();
            waiter.join().unwrap().unwrap();
        });
    }
}

#[test]
fn what_cannot_be_locked_is_distinguished() {
    let db = with_tables();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let none: [&str; 0] = [];
    assert!(pglock::tables(none).lock(&mut tx).unwrap_err().is_config());
    assert!(pglock::table("").try_lock(&mut tx).unwrap_err().is_config());
    let error = pglock::table("order").lock(&mut tx).unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(error.sql_state().unwrap().code(), "42P01");
    let error = pglock::table(r#"orders"; DROP TABLE orders; --"#)
        .try_lock(&mut tx)
        .unwrap_err();
    assert_eq!(error.sql_state().unwrap().code(), "42P01");
    // Still usable after each of them.
    assert!(pglock::table("orders").try_lock(&mut tx).unwrap());
    tx.batch_execute("SELECT 1 / 0").unwrap_err();
    assert!(
        pglock::table("orders")
            .try_lock(&mut tx)
            .unwrap_err()
            .is_config()
    );
}

async fn connect(db: &TestDb) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn async_twins_do_the_same() {
    let db = with_tables();
    let (mut holder, mut client) = (connect(&db).await, connect(&db).await);
    let mut held = holder.transaction().await.unwrap();
    pglock::tables(["orders", "billing.invoices"])
        .lock_async(&mut held)
        .await
        .unwrap();
    let mut tx = client.transaction().await.unwrap();
    assert!(
        !pglock::table("orders")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
    let error = pglock::table("orders")
        .timeout(Duration::from_millis(50))
        .lock_async(&mut tx)
        .await
        .unwrap_err();
    assert!(error.is_busy() && error.holder().is_some(), "{error}");
    assert!(
        pglock::table("Order")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
    held.commit().await.unwrap();
    pglock::table("orders").lock_async(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_dropped_wait_for_a_table_is_canceled_and_the_transaction_goes_on() {
    let db = with_tables();
    let (mut holder, mut client) = (connect(&db).await, connect(&db).await);
    let mut held = holder.transaction().await.unwrap();
    pglock::table("orders").lock_async(&mut held).await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    for round in 0..6 {
        let time = Duration::from_millis(round * 3);
        let _ = tokio::time::timeout(time, pglock::table("orders").lock_async(&mut tx)).await;
        let _ =
            tokio::time::timeout(time / 10, pglock::table("orders").try_lock_async(&mut tx)).await;
        let began = Instant::now();
        tx.simple_query("SELECT 1").await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it took {:?}",
            began.elapsed()
        );
        wait_until_async("nobody waits", BOUND, || db.blocked_pids().is_empty()).await;
    }
    held.commit().await.unwrap();
    assert!(
        pglock::table("orders")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
}
