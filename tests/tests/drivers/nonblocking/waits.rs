//! Waits in slices of twice `deadlock_timeout`, which is short here.

use std::time::{Duration, Instant};

use pglock::ErrorKind;
use pglock_tests::{BOUND, TestDb, database, wait_until_async};

use super::{Ask, Driver, DroppedWait, for_each_driver, key, pid, wait_for_no_locks};

for_each_driver! {
    a_wait_is_begun_anew_until_the_lock_is_granted
    a_timeout_of_several_slices_is_exact
    a_deadlock_of_waits_in_slices_is_found
    a_wait_that_is_dropped_in_a_later_slice_holds_nothing
}

async fn hasty<D: Driver>(db: &TestDb, deadlock_timeout: &str) -> D::Session {
    let mut session = D::open(db).await;
    let set = format!("SET deadlock_timeout = '{deadlock_timeout}'");
    D::connection(&mut session).ask(&set).await.unwrap();
    session
}

/// Returns when the backend has waited in `slices` statements, or is in the last of them.
async fn waits_in(observer: &mut impl Ask, pid: i32, slices: usize) {
    let look = format!(
        "SELECT max(xact_start::text) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
    );
    let (mut seen, mut last) = (0, None);
    let looks = async {
        while seen < slices {
            let began = observer.ask(&look).await.unwrap();
            if began.is_some() && began != last {
                (seen, last) = (seen + 1, began);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, looks).await.unwrap();
}

async fn a_wait_is_begun_anew_until_the_lock_is_granted<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, hasty::<D>(&db, "50ms").await);
    let mut observer = D::open(&db).await;
    let held = pglock::advisory("long").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    let pid = pid(connection).await;
    let lock = pglock::advisory("long").on_async(connection);
    let (got, ()) = tokio::join!(lock.acquire(), async {
        waits_in(D::connection(&mut observer), pid, 5).await;
        held.release().await.unwrap();
    });
    got.unwrap().release().await.unwrap();
    assert!(db.advisory_locks().is_empty());
    for setting in ["statement_timeout", "lock_timeout"] {
        assert_eq!(super::shown(connection, setting).await, "0");
    }
}

async fn a_timeout_of_several_slices_is_exact<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, hasty::<D>(&db, "180ms").await);
    let held = pglock::advisory("exact").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let timeout = Duration::from_millis(730);
    let began = Instant::now();
    let lock = pglock::advisory("exact").timeout(timeout);
    let lock = lock.on_async(D::connection(&mut session));
    let error = lock.acquire().await.unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.holder().is_some());
    assert!(
        timeout <= took && took < timeout + Duration::from_millis(200),
        "{took:?}"
    );
    held.release().await.unwrap();
}

async fn a_deadlock_of_waits_in_slices_is_found<D: Driver>() {
    let db = database();
    let crossed = async |first: &'static str, second: &'static str| {
        let mut session = hasty::<D>(&db, "200ms").await;
        let outer = pglock::advisory(first).on_async(D::connection(&mut session));
        let mut outer = outer.acquire().await.unwrap();
        wait_until_async("both hold one", BOUND, || {
            db.advisory_locks().iter().filter(|it| it.granted).count() == 2
        })
        .await;
        let inner = pglock::advisory(second).timeout(Duration::from_secs(6));
        let ended = match inner.on_async(&mut *outer).acquire().await {
            Ok(inner) => inner.release().await,
            Err(error) => Err(error),
        };
        outer.release().await.unwrap();
        ended
    };
    let (one, other) = tokio::join!(crossed("a", "b"), crossed("b", "a"));
    let errors = [one.err(), other.err()].into_iter().flatten();
    let kinds: Vec<_> = errors.map(|error| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Deadlock]);
}

async fn a_wait_that_is_dropped_in_a_later_slice_holds_nothing<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, hasty::<D>(&db, "500ms").await);
    let mut observer = D::open(&db).await;
    let held = pglock::advisory("drop").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    let pid = pid(connection).await;
    let lock = pglock::advisory("drop").on_async(connection);
    tokio::select! {
        biased;
        _ = lock.acquire() => panic!("it is not free"),
        () = waits_in(D::connection(&mut observer), pid, 2) => {}
    }
    if D::DROPPED_WAIT == DroppedWait::Canceled {
        // Long before its slice is over.
        let canceled = wait_until_async("it is canceled", Duration::from_millis(450), || {
            db.waiting(key("drop")) == 0
        });
        canceled.await;
        assert_eq!(db.held(key("drop")), 1);
    }
    held.release().await.unwrap();
    if D::DROPPED_WAIT == DroppedWait::Closed {
        drop(session);
    }
    wait_for_no_locks(&db).await;
}
