//! Locks in transactions.

use std::time::Duration;

use pglock::TableMode;
use pglock_tests::database;

use super::{Ask, Begin, Commit, Driver, for_each_driver, key};

for_each_driver! {
    an_xact_lock_ends_with_its_transaction
    a_busy_xact_lock_leaves_the_transaction_usable
    an_aborted_transaction_says_so
    tables_are_locked_to_the_end_of_the_transaction
    busy_tables_leave_the_transaction_usable
    a_savepoint_that_is_rolled_back_releases
}

async fn an_xact_lock_ends_with_its_transaction<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    for commits in [true, false] {
        let mut tx = connection.begin_transaction().await;
        let lock = pglock::advisory("tx").timeout(Duration::from_secs(5));
        lock.acquire_xact_async(&mut *tx).await.unwrap();
        let lock = pglock::advisory("tried").shared();
        assert!(lock.try_acquire_xact_async(&mut *tx).await.unwrap());
        assert_eq!(super::shown(&mut *tx, "lock_timeout").await, "0");
        assert_eq!(db.advisory_locks().len(), 2);
        if commits {
            tx.commit_transaction().await;
        } else {
            drop(tx);
            connection.ask("SELECT 1").await.unwrap();
        }
        assert!(db.advisory_locks().is_empty());
    }
}

async fn a_busy_xact_lock_leaves_the_transaction_usable<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("busy").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    let mut tx = connection.begin_transaction().await;
    tx.ask("SET LOCAL lock_timeout = '77s'; CREATE TABLE made_before ()")
        .await
        .unwrap();
    let lock = pglock::advisory("busy");
    let got = lock.clone().try_acquire_xact_async(&mut *tx).await;
    assert!(!got.unwrap());
    let lock = lock.timeout(Duration::from_millis(50));
    let error = lock.acquire_xact_async(&mut *tx).await.unwrap_err();
    assert!(error.is_busy() && error.holder().is_some(), "{error}");
    assert_eq!(super::shown(&mut *tx, "lock_timeout").await, "77s");
    tx.commit_transaction().await;
    connection.ask("SELECT FROM made_before").await.unwrap();
    assert_eq!(db.held(key("busy")), 1);
    held.release().await.unwrap();
}

async fn an_aborted_transaction_says_so<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut session = D::open(&db).await;
    let mut tx = D::connection(&mut session).begin_transaction().await;
    tx.ask("SELECT 1 / 0").await.unwrap_err();
    let errors = [
        pglock::advisory("tx").acquire_xact_async(&mut *tx).await,
        pglock::table("orders").lock_async(&mut *tx).await,
        pglock::locks().fetch_async(&mut *tx).await.map(drop),
        pglock::timeout(None).on_async(&mut *tx).await.map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(
            error.is_config() && error.to_string().contains("roll"),
            "{error}"
        );
    }
}

const TABLE_LOCKS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
     WHERE c.relname IN ('orders', 'items') AND l.mode = 'ShareLock' AND l.granted";

async fn tables_are_locked_to_the_end_of_the_transaction<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders (); CREATE TABLE items ()");
    let (mut observer, mut session) = (D::open(&db).await, D::open(&db).await);
    let observer = D::connection(&mut observer);
    let mut tx = D::connection(&mut session).begin_transaction().await;
    let tables = pglock::tables(["orders", "items"]).mode(TableMode::Share);
    tables.lock_async(&mut *tx).await.unwrap();
    let held = observer.ask(TABLE_LOCKS).await.unwrap();
    assert_eq!(held.as_deref(), Some("2"));
    tx.commit_transaction().await;
    let held = observer.ask(TABLE_LOCKS).await.unwrap();
    assert_eq!(held.as_deref(), Some("0"));
}

async fn busy_tables_leave_the_transaction_usable<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let mut reads = D::connection(&mut holder).begin_transaction().await;
    reads.ask("SELECT FROM orders").await.unwrap();
    let connection = D::connection(&mut session);
    let mut tx = connection.begin_transaction().await;
    tx.ask("CREATE TABLE made_before ()").await.unwrap();
    let table = pglock::table("orders");
    assert!(!table.clone().try_lock_async(&mut *tx).await.unwrap());
    let table = table.timeout(Duration::from_millis(50));
    assert!(!table.clone().try_lock_async(&mut *tx).await.unwrap());
    let error = table.lock_async(&mut *tx).await.unwrap_err();
    assert!(error.is_busy() && error.holder().is_some(), "{error}");
    let error = pglock::table("nowhere").lock_async(&mut *tx).await;
    assert!(error.unwrap_err().is_config());
    reads.commit_transaction().await;
    let table = pglock::table("orders");
    assert!(table.try_lock_async(&mut *tx).await.unwrap());
    tx.commit_transaction().await;
    connection.ask("SELECT FROM made_before").await.unwrap();
}

async fn a_savepoint_that_is_rolled_back_releases<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let mut tx = D::connection(&mut session).begin_transaction().await;
    tx.ask("SAVEPOINT mine").await.unwrap();
    let lock = pglock::advisory("inner").timeout(Duration::from_secs(5));
    lock.acquire_xact_async(&mut *tx).await.unwrap();
    assert_eq!(db.held(key("inner")), 1);
    tx.ask("ROLLBACK TO SAVEPOINT mine").await.unwrap();
    assert!(db.advisory_locks().is_empty());
}
