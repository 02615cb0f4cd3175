//! What is so on `diesel-async` alone: a transaction is the connection itself, and only diesel counts it.

use std::time::Duration;

use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use pglock::Error;
use pglock_tests::{Proxy, database, server};

use super::{Ask as _, DieselAsync, Driver as _, drop_once, key, wait_for_no_locks};

type QueryResult = diesel::QueryResult<()>;

#[tokio::test]
async fn outside_a_transaction_what_needs_one_is_refused() {
    let db = database();
    let mut connection = DieselAsync::open(&db).await;
    for _by_hand in [false, true] {
        let lock = || pglock::advisory("xact");
        let table = || pglock::table("pg_class");
        let errors = [
            lock().acquire_xact_async(&mut connection).await.err(),
            lock().try_acquire_xact_async(&mut connection).await.err(),
            table().lock_async(&mut connection).await.err(),
            table().try_lock_async(&mut connection).await.err(),
        ];
        for error in errors.map(Option::unwrap) {
            assert!(error.is_config(), "{error}: {error:?}");
            assert!(error.to_string().contains("begin one first"), "{error}");
        }
        let scope = pglock::timeout(Duration::from_secs(1)).on_async(&mut connection);
        let mut scope = scope.await.unwrap();
        let error = lock().acquire_xact_async(&mut scope).await.unwrap_err();
        assert!(error.is_config(), "{error}");
        drop(scope);
        assert_eq!(db.advisory_locks(), []);
        // Diesel does not know of a transaction that is begun so.
        connection.ask("BEGIN").await.unwrap();
    }
}

/// As after a rollback that failed.
#[tokio::test]
async fn the_server_is_asked_where_diesel_has_lost_count() {
    use diesel_async::{AnsiTransactionManager, TransactionManager as _};

    let db = database();
    let mut connection = DieselAsync::open(&db).await;
    AnsiTransactionManager::transaction_manager_status_mut(&mut connection).set_in_error();
    let lock = pglock::advisory("xact");
    let outside = lock.clone().acquire_xact_async(&mut connection).await;
    assert!(outside.unwrap_err().is_config());
    connection.ask("BEGIN").await.unwrap();
    lock.acquire_xact_async(&mut connection).await.unwrap();
    assert_eq!(db.held(key("xact")), 1);
}

#[pglock::advisory("ledger", xact, client = connection)]
async fn settle(connection: &mut AsyncPgConnection) -> QueryResult {
    connection
        .batch_execute("INSERT INTO work VALUES (1)")
        .await
}

#[tokio::test]
async fn inside_a_transaction_session_locks_are_refused_and_others_end_with_it() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let mut connection = DieselAsync::open(&db).await;
    let done: QueryResult = connection
        .transaction(async |tx| {
            for timeout in [None, Some(Duration::ZERO)] {
                let lock = pglock::advisory("inside").timeout(timeout);
                let error = lock.on_async(tx).acquire().await.unwrap_err();
                assert!(error.is_config(), "{error}: {error:?}");
                assert!(error.to_string().contains("acquire_xact"), "{error}");
            }
            settle(tx).await?;
            assert_eq!(db.held(key("ledger")), 1);
            Ok(())
        })
        .await;
    done.unwrap();
    assert_eq!(db.advisory_locks(), []);
}

#[tokio::test]
async fn diesel_counts_its_transactions_as_before() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let (mut holder, mut connection) = (DieselAsync::open(&db).await, DieselAsync::open(&db).await);
    let held = pglock::advisory("busy").on_async(&mut holder);
    let _held = held.acquire().await.unwrap();
    let busy = || pglock::advisory("busy").timeout(Duration::from_millis(20));
    let done: QueryResult = connection
        .transaction(async |outer| {
            outer.batch_execute("INSERT INTO work VALUES (1)").await?;
            let inner: QueryResult = outer
                .transaction(async |inner| {
                    inner.batch_execute("INSERT INTO work VALUES (2)").await?;
                    pglock::advisory("inner").acquire_xact_async(inner).await?;
                    let error = busy().acquire_xact_async(inner).await.unwrap_err();
                    assert!(error.is_busy(), "{error}");
                    assert_eq!(db.held(key("inner")), 1);
                    Err(diesel::result::Error::RollbackTransaction)
                })
                .await;
            inner.unwrap_err();
            // The savepoint's rollback has released what was taken behind it.
            assert_eq!(db.held(key("inner")), 0);
            assert!(!busy().try_acquire_xact_async(outer).await?);
            Ok(())
        })
        .await;
    done.unwrap();
    let done = connection.ask("SELECT count(*) FROM work").await.unwrap();
    assert_eq!(done.as_deref(), Some("1"));
}

/// A transaction of diesel's that is dropped half-way is open in the server, and pglock rolls it back before it releases:
/// diesel has to begin one next, and not a savepoint.
#[tokio::test]
async fn after_a_rollback_of_what_was_left_open_diesel_begins_anew() {
    let (db, proxy) = (database(), Proxy::start(server()));
    db.execute("CREATE TABLE work (done int)");
    let mut connection = DieselAsync::open_at(&proxy.url(db.name())).await;
    for dropped in [true, false] {
        let locked = pglock::advisory("around").on_async(&mut connection);
        let mut locked = locked.acquire().await.unwrap();
        let left = locked.transaction(async |tx| -> QueryResult {
            tx.batch_execute("INSERT INTO work VALUES (1)").await?;
            std::future::pending().await
        });
        // It has begun, and has not ended.
        let done = tokio::time::timeout(Duration::from_millis(200), left).await;
        assert!(done.is_err());
        if dropped {
            drop(locked);
            wait_for_no_locks(&db).await;
        } else {
            let error: Error = locked.release().await.unwrap_err();
            assert!(error.is_config(), "{error}");
        }
        let done: QueryResult = connection
            .transaction(async |tx| {
                pglock::advisory("around").acquire_xact_async(tx).await?;
                tx.batch_execute("INSERT INTO work VALUES (2)").await
            })
            .await;
        done.unwrap();
    }
    let done = connection.ask("SELECT sum(done) FROM work").await.unwrap();
    assert_eq!(done.as_deref(), Some("4"));
}

/// Also of what is dropped while it waits, over and over.
#[tokio::test]
async fn nothing_stays_prepared() {
    let db = database();
    let (mut holder, mut connection) = (DieselAsync::open(&db).await, DieselAsync::open(&db).await);
    let held = pglock::advisory("held").on_async(&mut holder);
    let held = held.acquire().await.unwrap();
    pglock::locks().fetch_async(&mut connection).await.unwrap();
    let guard = pglock::advisory("free").on_async(&mut connection);
    guard.acquire().await.unwrap().release().await.unwrap();
    for _ in 0..3 {
        let waits = pglock::advisory("held").on_async(&mut connection);
        let is_waiting = || db.waiting(key("held")) == 1;
        drop_once("it waits", waits.acquire(), is_waiting).await;
        connection.ask("SELECT pg_sleep(0)").await.unwrap();
    }
    // Of pglock's, and not this one.
    let prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%pglock%' \
         AND statement NOT LIKE '%pg_prepared_statements%'";
    let prepared = connection.ask(prepared).await.unwrap();
    assert_eq!(prepared.as_deref(), Some("0"));
    held.release().await.unwrap();
}

/// As diesel's own queries, which pipeline.
#[tokio::test]
async fn what_only_reads_takes_a_shared_connection() {
    let db = database();
    let connection = DieselAsync::open(&db).await;
    let (mut one, mut other) = (&connection, &connection);
    let (locks, graph) = tokio::join!(
        pglock::locks().fetch_async(&mut one),
        pglock::wait_graph().fetch_async(&mut other),
    );
    assert!(!locks.unwrap().is_empty() && graph.unwrap().is_empty());
}
