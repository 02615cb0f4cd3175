//! Runtimes that come and go, and other executors.

use std::cell::Cell;
use std::time::{Duration, Instant};

use pglock::Error;
use pglock_tests::{BOUND, TestDb, database};

use crate::{async_job, blocking_job, handle};

async fn use_both(db: &TestDb) {
    let here = handle(db);
    assert_eq!(async_job(&here).await.unwrap(), 1);
    assert_eq!(blocking_job(&here).unwrap(), 2);
    let (one, two) = tokio::join!(async_job(&here), async_job(&here));
    assert_eq!(one.unwrap() + two.unwrap(), 2);
    db.wait_for_no_locks();
}

#[tokio::test]
async fn a_first_runtime() {
    use_both(&database()).await;
}

#[tokio::test]
async fn a_second_runtime() {
    use_both(&database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_runtime() {
    let db = database();
    use_both(&db).await;
    let here = handle(&db);
    assert_eq!(
        tokio::spawn(async move { async_job(&here).await })
            .await
            .unwrap()
            .unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_runtime() {
    use_both(&database()).await;
}

#[test]
fn a_guard_outlives_the_runtime_it_was_acquired_in() {
    let db = database();
    let here = handle(&db);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let guard = runtime
        .block_on(pglock::advisory("outlives").using(&here).acquire_async())
        .unwrap();
    drop(runtime);
    assert_eq!(db.held(pglock::advisory_id("outlives")), 1);
    guard.check().unwrap();
    guard.release().unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn another_executor_will_do() {
    let db = database();
    let here = handle(&db);
    let job = pglock::advisory("executor").using(&here).run_async(async {
        pglock::advisory("inner")
            .using(&here)
            .run_async(async { Ok::<_, Error>(3) })
            .await
    });
    assert_eq!(pollster::block_on(job).unwrap(), 3);
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn a_guard_can_be_sent_and_shared() {
    fn assert_send_sync<T: Send + Sync + 'static>(_: &T) {}

    let db = database();
    let guard = pglock::advisory("sent")
        .using(handle(&db))
        .acquire()
        .unwrap();
    assert_send_sync(&guard);
    std::thread::spawn(move || guard.release().unwrap())
        .join()
        .unwrap();
    assert!(db.advisory_locks().is_empty());
}

/// An executor like the one in the documentation of `std::task::Wake`, which waits for the thread's token.
#[test]
fn a_blocking_call_leaves_the_threads_park_token_to_its_owner() {
    let db = database();
    let here = handle(&db);
    let is_kept = |what: &str, call: &dyn Fn()| {
        std::thread::current().unpark();
        call();
        let began = Instant::now();
        std::thread::park_timeout(BOUND);
        assert!(began.elapsed() < BOUND, "{what} took the token");
    };
    let guard = Cell::new(None);
    is_kept("the first acquire, which connects", &|| {
        let lock = pglock::advisory("token").using(&here);
        guard.set(Some(lock.acquire().unwrap()));
    });
    is_kept("a wait", &|| {
        let lock = pglock::advisory("token").using(&here);
        let busy = lock.timeout(Duration::from_millis(50)).acquire();
        assert!(busy.unwrap_err().is_busy());
    });
    is_kept("a release", &|| guard.take().unwrap().release().unwrap());
    is_kept("a call in a transaction", &|| {
        let lock = pglock::advisory("token").using(&here).xact();
        lock.run(|| Ok::<_, Error>(())).unwrap();
    });
    is_kept("a drain", &pglock::drain);
}
