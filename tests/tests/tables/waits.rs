//! Waits: for how long, and what ends them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pglock::{ErrorKind, TableMode, Timeout};
use pglock_tests::{BOUND, TestDb, database, wait_until};
use postgres::error::SqlState;

use crate::with_tables;

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
