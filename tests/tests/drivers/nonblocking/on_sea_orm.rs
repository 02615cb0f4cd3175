//! `sea-orm`: locks in its transactions, owned or shared, and session locks on its pool, which is sqlx's.

use std::time::Duration;

use pglock::TableMode;
use pglock_tests::{BOUND, TestDb, database, wait_until_async};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, Statement, TransactionTrait as _,
};

use super::{drop_once, key};

async fn connect(db: &TestDb) -> DatabaseConnection {
    let mut options = ConnectOptions::new(db.url());
    options.max_connections(2);
    sea_orm::Database::connect(options).await.unwrap()
}

async fn ask(transaction: &DatabaseTransaction, sql: &str) -> String {
    let asked = Statement::from_string(DbBackend::Postgres, sql);
    let row = transaction.query_one_raw(asked).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_connection_of_its_pool_takes_session_locks() {
    let db = database();
    let orm = connect(&db).await;
    let mut connection = orm.get_postgres_connection_pool().acquire().await.unwrap();
    let lock = pglock::advisory("nightly").on_async(&mut connection);
    let locked = lock.acquire().await.unwrap();
    assert_eq!(db.held(key("nightly")), 1);
    locked.release().await.unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[tokio::test]
async fn an_xact_lock_ends_with_its_transaction() {
    let db = database();
    let orm = connect(&db).await;
    for commits in [true, false] {
        let mut txn = orm.begin().await.unwrap();
        let lock = pglock::advisory("tx").timeout(Duration::from_secs(5));
        lock.acquire_xact_async(&mut txn).await.unwrap();
        let lock = pglock::advisory("tried").shared();
        assert!(lock.try_acquire_xact_async(&mut txn).await.unwrap());
        assert_eq!(ask(&txn, "SHOW lock_timeout").await, "0");
        assert_eq!(db.advisory_locks().len(), 2);
        if commits {
            txn.commit().await.unwrap();
        } else {
            txn.rollback().await.unwrap();
        }
        assert!(db.advisory_locks().is_empty());
    }
}

#[tokio::test]
async fn what_is_busy_leaves_the_transaction_usable() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let orm = connect(&db).await;
    let mut holder = orm.begin().await.unwrap();
    let held = pglock::advisory("busy");
    held.acquire_xact_async(&mut holder).await.unwrap();
    holder.execute_unprepared("LOCK orders").await.unwrap();

    let mut txn = orm.begin().await.unwrap();
    txn.execute_unprepared("SET LOCAL lock_timeout = '77s'; CREATE TABLE made_before ()")
        .await
        .unwrap();
    let lock = pglock::advisory("busy");
    let got = lock.clone().try_acquire_xact_async(&mut txn).await;
    assert!(!got.unwrap());
    let table = pglock::table("orders").mode(TableMode::Share);
    assert!(!table.clone().try_lock_async(&mut txn).await.unwrap());
    let short = Duration::from_millis(50);
    let errors = [
        lock.timeout(short).acquire_xact_async(&mut txn).await,
        table.timeout(short).lock_async(&mut txn).await,
    ];
    for error in errors.map(Result::unwrap_err) {
        assert!(error.is_busy() && error.holder().is_some(), "{error}");
    }
    assert_eq!(ask(&txn, "SHOW lock_timeout").await, "77s");
    let nowhere = pglock::table("nowhere").lock_async(&mut txn).await;
    assert!(nowhere.unwrap_err().is_config());
    txn.commit().await.unwrap();
    let made = orm.execute_unprepared("SELECT FROM made_before").await;
    made.unwrap();
}

#[tokio::test]
async fn an_aborted_transaction_says_so() {
    let db = database();
    let orm = connect(&db).await;
    let mut txn = orm.begin().await.unwrap();
    txn.execute_unprepared("SELECT 1 / 0").await.unwrap_err();
    let errors = [
        pglock::advisory("tx").acquire_xact_async(&mut txn).await,
        pglock::locks().fetch_async(&mut txn).await.map(drop),
        pglock::timeout(None).on_async(&mut txn).await.map(drop),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert!(
            error.is_config() && error.to_string().contains("roll"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_lock_timeout_and_what_it_was() {
    let db = database();
    let orm = connect(&db).await;
    let mut txn = orm.begin().await.unwrap();
    for dropped in [true, false] {
        let scope = pglock::timeout(Duration::from_secs(1)).on_async(&mut txn);
        let scope = scope.await.unwrap();
        assert_eq!(ask(&scope, "SHOW lock_timeout").await, "1s");
        if dropped {
            drop(scope);
        } else {
            scope.restore().await.unwrap();
        }
        assert_eq!(ask(&txn, "SHOW lock_timeout").await, "0");
    }
}

#[pglock::advisory("ledger", xact, client = txn, timeout = 0)]
async fn settle(txn: &mut &DatabaseTransaction) -> Result<(), DbErr> {
    let held = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    assert_eq!(ask(txn, held).await, "1");
    Ok(())
}

/// `transaction` lends it shared.
#[tokio::test]
async fn a_shared_transaction_takes_locks_and_errors_are_of_the_orm() {
    let db = database();
    let orm = connect(&db).await;
    let settles = || {
        orm.transaction::<_, (), DbErr>(|txn| {
            Box::pin(async move {
                settle(&mut &*txn).await?;
                let mut txn = txn;
                let locks = pglock::locks().filter("mode=EXCLUSIVE").unwrap();
                assert!(!locks.fetch_async(&mut txn).await.unwrap().is_empty());
                Ok(())
            })
        })
    };
    settles().await.unwrap();
    assert!(db.advisory_locks().is_empty());

    let mut holder = orm.begin().await.unwrap();
    let held = pglock::advisory("ledger");
    held.acquire_xact_async(&mut holder).await.unwrap();
    let Err(sea_orm::TransactionError::Transaction(error)) = settles().await else {
        panic!("it is busy")
    };
    let found = pglock::Error::find(&error).unwrap();
    assert!(found.is_busy(), "{found}");
}

#[tokio::test]
async fn a_dropped_wait_ends_by_itself_and_does_not_answer_what_pglock_asks_next() {
    let db = database();
    let orm = connect(&db).await;
    for granted in [true, false] {
        let mut holder = orm.begin().await.unwrap();
        let held = pglock::advisory("tx");
        held.acquire_xact_async(&mut holder).await.unwrap();
        let mut txn = orm.begin().await.unwrap();
        let lock = pglock::advisory("tx");
        let lock = lock.timeout((!granted).then_some(Duration::from_millis(500)));
        let waits = lock.acquire_xact_async(&mut txn);
        drop_once("it waits", waits, || db.waiting(key("tx")) == 1).await;
        if granted {
            holder.commit().await.unwrap();
            let free = pglock::advisory("free").try_acquire_xact_async(&mut txn);
            assert!(free.await.unwrap());
            assert_eq!(db.held(key("tx")), 1);
            txn.commit().await.unwrap();
        } else {
            wait_until_async("it has timed out", BOUND, || db.waiting(key("tx")) == 0).await;
            // The transaction is aborted; it is not the lock that is busy.
            let free = pglock::advisory("free").try_acquire_xact_async(&mut txn);
            let error = free.await.unwrap_err();
            assert!(error.is_config(), "{error}: {error:?}");
            txn.rollback().await.unwrap();
            holder.rollback().await.unwrap();
        }
        assert!(db.advisory_locks().is_empty());
    }
}
