//! Lock timeouts for a part of the work.

use std::time::Duration;

use pglock::{AnyAsyncConnection, Error};
use pglock_tests::database;

use super::{Ask, Begin, Commit, Driver, for_each_driver, shown};

const SECOND: Duration = Duration::from_secs(1);

for_each_driver! {
    scopes_nest_and_put_back_what_was_there
    in_a_transaction_it_is_the_transactions
    after_an_error_it_is_put_back
    an_annotated_function_has_its_timeout
}

async fn scopes_nest_and_put_back_what_was_there<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    connection.ask("SET lock_timeout = '7s'").await.unwrap();
    let outer = pglock::timeout(SECOND).on_async(connection).await;
    let mut outer = outer.unwrap();
    assert_eq!(shown(&mut *outer, "lock_timeout").await, "1s");
    let inner = pglock::timeout(None).on_async(&mut outer).await;
    let mut inner = inner.unwrap();
    assert_eq!(shown(&mut **inner, "lock_timeout").await, "0");
    // Dropped or restored, with a lock inside.
    let locked = pglock::advisory("inside").on_async(&mut inner);
    locked.acquire().await.unwrap().release().await.unwrap();
    drop(inner);
    assert_eq!(shown(&mut *outer, "lock_timeout").await, "1s");
    outer.restore().await.unwrap();
    assert_eq!(shown(connection, "lock_timeout").await, "7s");
}

async fn in_a_transaction_it_is_the_transactions<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    connection.ask("SET lock_timeout = '7s'").await.unwrap();
    let mut tx = connection.begin_transaction().await;
    tx.ask("SET LOCAL lock_timeout = '5s'").await.unwrap();
    for dropped in [true, false] {
        let scope = pglock::timeout(SECOND).on_async(&mut *tx).await;
        let mut scope = scope.unwrap();
        assert_eq!(shown(&mut *scope, "lock_timeout").await, "1s");
        let xact = pglock::advisory("inside").acquire_xact_async(&mut scope);
        xact.await.unwrap();
        if dropped {
            drop(scope);
        } else {
            scope.restore().await.unwrap();
        }
        assert_eq!(shown(&mut *tx, "lock_timeout").await, "5s");
    }
    let scope = pglock::timeout(SECOND).on_async(&mut *tx).await;
    std::mem::forget(scope.unwrap());
    tx.commit_transaction().await;
    assert_eq!(shown(connection, "lock_timeout").await, "7s");
}

async fn after_an_error_it_is_put_back<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let scope = pglock::timeout(SECOND).on_async(connection).await;
    let mut scope = scope.unwrap();
    scope.ask("SELECT 1 / 0").await.unwrap_err();
    drop(scope);
    assert_eq!(shown(connection, "lock_timeout").await, "0");
    // In a transaction the rollback does it.
    let mut tx = connection.begin_transaction().await;
    let scope = pglock::timeout(SECOND).on_async(&mut *tx).await;
    let mut scope = scope.unwrap();
    scope.ask("SELECT 1 / 0").await.unwrap_err();
    scope.restore().await.unwrap();
    drop(tx);
    assert_eq!(shown(connection, "lock_timeout").await, "0");
    // One that was begun by hand is rolled back first.
    let scope = pglock::timeout(SECOND).on_async(connection).await;
    let mut scope = scope.unwrap();
    scope.ask("BEGIN").await.unwrap();
    scope.ask("SELECT 1 / 0").await.unwrap_err();
    scope.restore().await.unwrap();
    assert_eq!(shown(connection, "lock_timeout").await, "0");
}

#[pglock::timeout("3s")]
async fn annotated<C: AnyAsyncConnection + Ask>(connection: &mut C) -> Result<String, Error> {
    Ok(shown(connection, "lock_timeout").await)
}

async fn an_annotated_function_has_its_timeout<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    assert_eq!(annotated(connection).await.unwrap(), "3s");
    assert_eq!(shown(connection, "lock_timeout").await, "0");
}
