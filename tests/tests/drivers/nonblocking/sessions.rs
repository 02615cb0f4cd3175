//! Session locks.

use std::time::Duration;

use pglock::{AnyAsyncConnection, AsyncConnection, Error, ErrorKind};
use pglock_tests::database;

use super::{Ask, Driver, for_each_driver, key, pid, wait_for_no_locks};

for_each_driver! {
    a_lock_is_held_until_it_is_released
    a_lock_that_is_busy_is_busy_and_names_its_holder
    a_lock_is_shared_by_those_who_share
    postgres_counts
    a_hand_written_transaction_is_refused_with_nothing_held
    a_transaction_left_open_is_rolled_back_and_reported
    a_lock_that_is_lost_is_not_silent
    an_annotated_function_holds_its_lock_and_releases_it
    a_wait_without_a_timeout_gets_the_lock_when_it_is_free
}

async fn a_lock_is_held_until_it_is_released<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    for timeout in [None, Some(Duration::from_secs(5)), Some(Duration::ZERO)] {
        let lock = pglock::advisory("held").timeout(timeout);
        let mut locked = lock.on_async(connection).acquire().await.unwrap();
        let pid = pid(&mut *locked).await;
        assert_eq!(db.held(key("held")), 1);
        assert_eq!(db.advisory_locks()[0].pid, pid);
        locked.check().unwrap();
        locked.release().await.unwrap();
        assert!(db.advisory_locks().is_empty());
    }
    // What the acquire set is gone.
    for setting in ["statement_timeout", "lock_timeout"] {
        assert_eq!(super::shown(connection, setting).await, "0");
    }
}

async fn a_lock_that_is_busy_is_busy_and_names_its_holder<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let holder = D::connection(&mut holder);
    holder.ask("SET application_name = 'holder'").await.unwrap();
    let held = pglock::advisory("busy").on_async(holder);
    let held = held.acquire().await.unwrap();

    let connection = D::connection(&mut session);
    let lock = pglock::advisory("busy");
    let tried = lock.clone().on_async(connection).try_acquire().await;
    assert!(tried.unwrap().is_none());
    let lock = lock.timeout(Duration::from_millis(50));
    let tried = lock.clone().on_async(connection).try_acquire().await;
    assert!(tried.unwrap().is_none());
    let error = lock.on_async(connection).acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.holder().unwrap().application_name, "holder");
    // It can go on.
    assert_eq!(
        connection.ask("SELECT 7").await.unwrap().as_deref(),
        Some("7")
    );
    assert_eq!(db.advisory_locks().len(), 1);
    held.release().await.unwrap();
    let lock = pglock::advisory("busy").on_async(connection);
    assert!(lock.try_acquire().await.unwrap().is_some());
}

async fn a_lock_is_shared_by_those_who_share<D: Driver>() {
    let db = database();
    let (mut one, mut other) = (D::open(&db).await, D::open(&db).await);
    let lock = pglock::advisory((3, -4)).shared();
    let first = lock.clone().on_async(D::connection(&mut one));
    let first = first.acquire().await.unwrap();
    let second = lock.on_async(D::connection(&mut other));
    let second = second.acquire().await.unwrap();
    assert_eq!(db.held((3, -4)), 2);
    first.release().await.unwrap();
    second.release().await.unwrap();
    assert!(db.advisory_locks().is_empty());
}

async fn postgres_counts<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let outer = pglock::advisory("count").on_async(connection);
    let mut outer = outer.acquire().await.unwrap();
    let inner = pglock::advisory("count").on_async(&mut outer);
    inner.acquire().await.unwrap().release().await.unwrap();
    assert_eq!(db.held(key("count")), 1);
    outer.release().await.unwrap();
    assert!(db.advisory_locks().is_empty());
}

async fn a_hand_written_transaction_is_refused_with_nothing_held<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    connection
        .ask("SET lock_timeout = '77s'; BEGIN")
        .await
        .unwrap();
    for timeout in [Duration::ZERO, Duration::from_secs(1)] {
        let lock = pglock::advisory("begun").timeout(timeout);
        let error = lock.on_async(connection).acquire().await.unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(db.advisory_locks().is_empty());
    }
    assert_eq!(super::shown(connection, "lock_timeout").await, "77s");
    connection.ask("SELECT 1 / 0").await.unwrap_err();
    let lock = pglock::advisory("begun").on_async(connection);
    let error = lock.acquire().await.unwrap_err();
    assert!(error.is_config(), "{error}");
    connection.ask("ROLLBACK").await.unwrap();
    let lock = pglock::advisory("begun").on_async(connection);
    lock.acquire().await.unwrap().release().await.unwrap();
}

async fn a_transaction_left_open_is_rolled_back_and_reported<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    for aborted in [false, true] {
        let locked = pglock::advisory("left").on_async(connection);
        let mut locked = locked.acquire().await.unwrap();
        locked.ask("BEGIN").await.unwrap();
        locked.ask("INSERT INTO work VALUES (1)").await.unwrap();
        if aborted {
            locked.ask("SELECT 1 / 0").await.unwrap_err();
        }
        let released = locked.release().await;
        // What was aborted was lost before; what was open is rolled back by us, and reported.
        assert_eq!(released.is_err_and(|error| error.is_config()), !aborted);
        assert!(db.advisory_locks().is_empty());
        let count = connection.ask("SELECT count(*) FROM work").await.unwrap();
        assert_eq!(count.as_deref(), Some("0"));
    }
}

async fn a_lock_that_is_lost_is_not_silent<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let locked = pglock::advisory("gone").on_async(connection);
    let mut locked = locked.acquire().await.unwrap();
    locked.ask("SELECT pg_advisory_unlock_all()").await.unwrap();
    let error = locked.release().await.unwrap_err();
    assert!(error.is_lost(), "{error}");

    let locked = pglock::advisory("gone").on_async(connection);
    let locked = locked.acquire().await.unwrap();
    db.terminate(db.advisory_locks()[0].pid);
    let error = locked.release().await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    // Nor is a connection that is gone a lock that is busy.
    let lock = pglock::advisory("gone").on_async(connection);
    let error = lock.try_acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
}

#[pglock::advisory("annotated-{n}", client = connection, timeout = "2s", side_effect = Skip)]
async fn annotated<C: AsyncConnection + Ask>(
    connection: &mut C,
    n: u32,
) -> Result<Option<i32>, Error> {
    Ok(Some(pid(connection).await))
}

async fn an_annotated_function_holds_its_lock_and_releases_it<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let pid = pid(connection).await;
    assert_eq!(annotated(connection, 7).await.unwrap(), Some(pid));
    assert!(db.advisory_locks().is_empty());

    let mut other = D::open(&db).await;
    let held = pglock::advisory("annotated-7").on_async(D::connection(&mut other));
    let held = held.acquire().await.unwrap();
    let skipped = annotated(connection, 7).await.unwrap();
    assert_eq!(skipped, None);
    held.release().await.unwrap();
}

async fn a_wait_without_a_timeout_gets_the_lock_when_it_is_free<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("wait").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    let waits = async {
        let locked = pglock::advisory("wait").on_async(connection);
        let locked = locked.acquire().await.unwrap();
        assert_eq!(db.held(key("wait")), 1);
        drop(locked);
    };
    let releases = async {
        pglock_tests::wait_until_async("it waits", pglock_tests::BOUND, || {
            db.waiting(key("wait")) == 1
        })
        .await;
        held.release().await.unwrap();
    };
    tokio::join!(waits, releases);
    wait_for_no_locks(&db).await;
}

/// An async task can be sent to another thread with any of them.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: T) {}

    fn all<C: AsyncConnection + AnyAsyncConnection>(connection: &mut C) {
        is_send(pglock::advisory(1).on_async(connection).acquire());
        is_send(pglock::timeout(None).on_async(connection));
        is_send(pglock::locks().fetch_async(connection));
    }

    let _ = all::<tokio_postgres::Client>;
    let _ = all::<diesel_async::AsyncPgConnection>;
    let _ = all::<sqlx::PgConnection>;
    let _ = all::<sqlx::pool::PoolConnection<sqlx::Postgres>>;
}
