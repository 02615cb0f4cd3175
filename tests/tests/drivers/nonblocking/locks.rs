//! `locks()` and `blocked_locks()`.

use pglock::BlockerAction;
use pglock_tests::{BOUND, database, wait_until_async};

use super::{Ask, Begin, Driver, Sqlx, for_each_driver, key, pid};

for_each_driver! {
    locks_are_found_by_filters_whose_values_are_bound
    blocked_locks_name_the_blocker_and_terminate_it
    sessions_that_wait_are_canceled
}

async fn locks_are_found_by_filters_whose_values_are_bound<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let holder = D::connection(&mut holder);
    holder
        .ask("SET application_name = 'it''s $1'")
        .await
        .unwrap();
    let pid = pid(holder).await;
    let mut tx = holder.begin_transaction().await;
    pglock::table("orders").lock_async(&mut *tx).await.unwrap();

    let connection = D::connection(&mut session);
    let locks = pglock::locks()
        .on(["orders"])
        .pid([pid])
        .filter("activity__application_name=it's $1")
        .unwrap();
    let found = locks.clone().fetch_async(connection).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].activity.pid, pid);
    let others = locks.exclude("mode=ACCESS_EXCLUSIVE").unwrap();
    assert!(others.fetch_async(connection).await.unwrap().is_empty());
    // In a transaction as well.
    let mut tx = connection.begin_transaction().await;
    let found = pglock::locks().on(["orders"]).fetch_async(&mut *tx).await;
    assert_eq!(found.unwrap().len(), 1);
    let unknown = pglock::locks().on(["nowhere"]).fetch_async(&mut *tx).await;
    assert!(unknown.unwrap_err().is_config());
}

async fn blocked_locks_name_the_blocker_and_terminate_it<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("way").on_async(D::connection(&mut holder));
    let mut held = held.acquire().await.unwrap();
    let holder = pid(&mut *held).await;
    let waiter = D::connection(&mut waiter);
    let waits = async {
        let locked = pglock::advisory("way").on_async(waiter);
        locked.acquire().await.unwrap().release().await.unwrap();
    };
    let ends = async {
        wait_until_async("it waits", BOUND, || db.waiting(key("way")) == 1).await;
        let mut session = D::open(&db).await;
        let connection = D::connection(&mut session);
        let blocked = pglock::blocked_locks().fetch_async(connection).await;
        let blockers: Vec<i32> = blocked
            .unwrap()
            .iter()
            .map(|blocked| blocked.blocking_activity.pid)
            .collect();
        assert_eq!(blockers, [holder]);
        let report = pglock::blocked_locks().report();
        let report = report.terminate_blocking_activity_async(connection);
        let [ended] = &report.await.unwrap()[..] else {
            panic!("there is one");
        };
        assert_eq!(
            (ended.pid, ended.action),
            (holder, BlockerAction::Terminated)
        );
    };
    tokio::join!(waits, ends);
    assert!(held.release().await.unwrap_err().is_lost());
}

async fn sessions_that_wait_are_canceled<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("way").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let waiter = D::connection(&mut waiter);
    let waiter_pid = pid(waiter).await;
    let waits = pglock::advisory("way").on_async(waiter).acquire();
    let cancels = async {
        wait_until_async("it waits", BOUND, || db.waiting(key("way")) == 1).await;
        let mut session = D::open(&db).await;
        let waiting = pglock::locks().granted(false);
        let canceled = waiting.cancel_activity_async(D::connection(&mut session));
        assert_eq!(canceled.await.unwrap(), [waiter_pid]);
    };
    let (result, ()) = tokio::join!(waits, cancels);
    let error = result.unwrap_err();
    assert_eq!(error.sql_state().unwrap().code(), "57014");
    // What was canceled can go on, and holds nothing.
    assert_eq!(db.advisory_locks().len(), 1);
    held.release().await.unwrap();
    waiter.ask("SELECT 1").await.unwrap();
}

/// sqlx keeps prepared statements of each text, by default a hundred: ours are not among them.
#[tokio::test]
async fn nothing_is_left_in_the_cache_of_statements() {
    use sqlx::Connection as _;

    let db = database();
    let mut connection = Sqlx::open(&db).await;
    pglock::locks().fetch_async(&mut connection).await.unwrap();
    let guard = pglock::advisory("cache").on_async(&mut connection);
    guard.acquire().await.unwrap().release().await.unwrap();
    assert_eq!(connection.cached_statements_size(), 0);
}
