//! What tests of programs are given: locks of their own, errors without a database, and whether all was released.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pglock::testing::{self, isolated, isolated_async};
use pglock::{Database, Error, ErrorKind};
use pglock_tests::{BOUND, TestDb, async_client, database, wait_until, wait_until_async};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// How many locks are held, by whomever.
fn locks_held(db: &TestDb) -> usize {
    let locks = db.advisory_locks();
    locks.iter().filter(|lock| lock.granted).count()
}

#[pglock::advisory("job", timeout = 0, using = here)]
fn job<T>(here: &Database, body: impl FnOnce() -> T) -> Result<T, Error> {
    Ok(body())
}

#[pglock::advisory("job", timeout = 0, using = here)]
async fn async_job<T>(here: &Database, body: impl Future<Output = T>) -> Result<T, Error> {
    Ok(body.await)
}

#[test]
fn isolated_tests_of_one_function_run_at_the_same_time() {
    let db = database();
    let here = handle(&db);
    let inside = AtomicUsize::new(0);
    let test = || {
        job(&here, || {
            inside.fetch_add(1, Ordering::SeqCst);
            wait_until("both are inside", BOUND, || {
                inside.load(Ordering::SeqCst) == 2
            });
        })
    };
    std::thread::scope(|scope| {
        let tests = [(); 2].map(|()| scope.spawn(|| isolated(test)));
        for test in tests {
            test.join().unwrap().unwrap();
        }
    });
    job(&here, || {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| job(&here, || ())).join().unwrap();
            assert!(other.unwrap_err().is_busy());
        });
    })
    .unwrap();
    db.wait_for_no_locks();
}

#[test]
fn inside_they_exclude_and_are_entered_again() {
    let db = database();
    let here = handle(&db);
    isolated(|| {
        job(&here, || {
            job(&here, || assert_eq!(locks_held(&db), 1)).unwrap();
        })
        .unwrap();
        let guard = pglock::advisory("job").using(&here).acquire().unwrap();
        let busy = job(&here, || ()).unwrap_err();
        assert!(
            busy.to_string().starts_with(r#"lock "job" is busy: held"#),
            "{busy}"
        );
        assert_eq!(
            busy.holder().unwrap().lock_name.as_deref(),
            Some("job"),
            "{busy}"
        );
        // In another isolated test it is another lock.
        isolated(|| job(&here, || assert_eq!(locks_held(&db), 2))).unwrap();
        assert!(job(&here, || ()).unwrap_err().is_busy());
        guard.release().unwrap();
    });
}

#[test]
fn locks_on_connections_and_in_transactions_are_of_the_test_too() {
    let db = database();
    let here = handle(&db);
    let guards = ["job", "other"].map(|id| pglock::advisory(id).using(&here).acquire().unwrap());
    let pair = pglock::advisory((1, 2)).using(&here).acquire().unwrap();
    let mut client = db.connect();
    let mut third = db.connect();
    let mut is_had = |id: &str| {
        let had = pglock::advisory(id.to_owned()).on(&mut third).try_acquire();
        had.unwrap().is_some()
    };
    assert!(!is_had("job"));
    isolated(|| {
        let locked = pglock::advisory("job").on(&mut client).try_acquire();
        let locked = locked.unwrap().expect("its key is another one");
        assert!(!is_had("job"));
        locked.release().unwrap();
        let mut transaction = client.transaction().unwrap();
        let lock = pglock::advisory("job");
        assert!(lock.try_acquire_xact(&mut transaction).unwrap());
        assert!(!is_had("job"));
        transaction.rollback().unwrap();
        let all = pglock::advisory_all(["job", "other"]).using(&here);
        let all = all.try_acquire().unwrap().expect("their keys are others");
        assert!(!is_had("other"));
        all.release().unwrap();
        let xact = pglock::advisory((1, 2)).xact().using(&here).try_acquire();
        xact.unwrap().expect("of a pair too").release().unwrap();
    });
    drop((guards, pair));
    db.wait_for_no_locks();
}

#[test]
fn limits_are_of_the_test_with_their_number() {
    let db = database();
    let (here, there) = (handle(&db), handle(&db));
    let outside = || pglock::limit(3, "sms").using(&there).acquire().unwrap();
    let first = outside();
    // The others' number is not looked at.
    let limit = || pglock::limit(2, "sms").using(&here);
    assert!(limit().try_acquire().unwrap_err().is_config());
    let all = [first, outside(), outside()];
    isolated(|| {
        let both = [(); 2].map(|()| limit().try_acquire().unwrap().expect("it is free here"));
        assert!(limit().try_acquire().unwrap().is_none());
        // But its own is.
        let more = pglock::limit(3, "sms").using(&there).try_acquire();
        assert_eq!(more.unwrap_err().kind(), ErrorKind::Config);
        drop(both);
    });
    drop(all);
    db.wait_for_no_locks();
    limit()
        .run(|| {
            let permit = locks_held(&db);
            isolated(|| {
                limit().run(|| {
                    // It is not the permit of the call around it.
                    assert_eq!(locks_held(&db), 2 * permit);
                    Ok::<_, Error>(())
                })
            })
        })
        .unwrap();
}

#[test]
fn what_is_spawned_inherits_nothing() {
    let db = database();
    let here = handle(&db);
    isolated(|| {
        let guard = pglock::advisory("job").using(&here).acquire().unwrap();
        std::thread::scope(|scope| {
            let spawned = scope.spawn(|| job(&here, || ()));
            spawned.join().unwrap().unwrap();
        });
        guard.release().unwrap();
    });
}

#[tokio::test]
async fn isolated_futures_run_at_the_same_time() {
    let db = database();
    let here = handle(&db);
    // Whatever is asked for outside is busy.
    let lock = pglock::advisory("job").using(&here);
    let guard = lock.acquire_async().await.unwrap();
    let inside = AtomicUsize::new(0);
    let test = || {
        async_job(&here, async {
            inside.fetch_add(1, Ordering::SeqCst);
            wait_until_async("both are inside", BOUND, || {
                inside.load(Ordering::SeqCst) == 2
            })
            .await;
            // After an await it is still inside.
            async_job(&here, async {}).await.unwrap();
        })
    };
    let (one, two) = tokio::join!(isolated_async(test()), isolated_async(test()));
    one.unwrap();
    two.unwrap();
    assert!(async_job(&here, async {}).await.unwrap_err().is_busy());
    isolated_async(async_job(&here, async {})).await.unwrap();
    guard.release_async().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_are_of_the_test_and_tasks_inherit_nothing() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let outside = lock().acquire_async().await.unwrap();
    let leads = lock()
        .timeout(Duration::ZERO)
        .lead(|| async { Ok::<_, Error>(locks_held(&db)) });
    assert_eq!(isolated_async(leads).await.unwrap(), 2);
    outside.release_async().await.unwrap();
    isolated_async(async {
        let guard = lock().acquire_async().await.unwrap();
        let there = here.clone();
        let spawned = tokio::spawn(async move { async_job(&there, async {}).await });
        spawned.await.unwrap().unwrap();
        guard.release_async().await.unwrap();
    })
    .await;
    // It can be spawned itself.
    let test = async move { async_job(&here, async {}).await };
    tokio::spawn(isolated_async(test)).await.unwrap().unwrap();
}

#[test]
fn errors_are_as_pglock_makes_them() {
    let db = database();
    let here = handle(&db);
    let mut other = db.connect_as("worker-2");
    let locked = pglock::advisory("job").on(&mut other).acquire().unwrap();
    let real = job(&here, || ()).unwrap_err();
    let made = testing::busy("job", real.holder().cloned());
    assert_eq!(made.kind(), ErrorKind::Busy);
    assert_eq!(format!("{made:?}"), format!("{real:?}"));
    assert_eq!(made.holder(), real.holder());
    locked.release().unwrap();

    let mut holder = testing::holder("worker-2");
    holder.held_for = Some(Duration::from_secs(3));
    let busy = testing::busy((1, 2), holder);
    assert_eq!(
        busy.to_string(),
        r#"lock (1, 2) is busy: held for 3 s by pid 4711 ("worker-2", user "app")"#
    );
    let unknown = testing::busy("job", None).to_string();
    assert_eq!(unknown, r#"lock "job" is busy: its holder is not known"#);

    let lost = testing::lost("job");
    assert!(lost.is_lost() && !lost.body_finished());
    assert!(lost.to_string().starts_with(r#"lock "job" was lost: "#));
    let done = testing::lost_after_the_body("job");
    assert!(done.is_lost() && done.body_finished());
    assert!(done.to_string().starts_with(&lost.to_string()));
}

/// What a panic said.
fn panic_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).expect_err("it does not panic");
    *payload.downcast::<String>().unwrap()
}

#[test]
fn locks_that_are_left_are_named_with_their_holder() {
    let db = database();
    let mut client = db.connect();
    let mut other = db.connect_as("worker-2");
    let locked = pglock::advisory("job").on(&mut other).acquire().unwrap();
    let said = panic_of(|| testing::assert_none_held(&mut client));
    assert!(said.contains("release or drop"), "{said}");
    assert!(
        said.contains("\"worker-2\"") && said.contains("\"job\""),
        "{said}"
    );
    locked.release().unwrap();
    testing::assert_none_held(&mut client);
}

#[test]
fn an_isolated_test_is_told_of_its_own_locks() {
    let db = database();
    let here = handle(&db);
    let mut client = db.connect();
    let outside = pglock::advisory("other").using(&here).acquire().unwrap();
    isolated(|| {
        let guard = pglock::advisory("job").using(&here).acquire().unwrap();
        let said = panic_of(|| testing::assert_none_held(&mut client));
        assert!(said.contains("on advisory lock \"job\""), "{said}");
        assert!(!said.contains("on advisory lock \"other\""), "{said}");
        // Its release is not waited for by the drop.
        drop(guard);
        testing::assert_none_held(&mut client);
    });
    outside.release().unwrap();
}

#[tokio::test]
async fn so_is_an_async_one() {
    let (db, mut client) = async_client().await;
    let here = handle(&db);
    let outside = pglock::advisory("other").using(&here).acquire_async().await;
    isolated_async(async {
        let lock = pglock::advisory("job").using(&here);
        drop(lock.acquire_async().await.unwrap());
        testing::assert_none_held_async(&mut client).await;
    })
    .await;
    let left = tokio::spawn(async move { testing::assert_none_held_async(&mut client).await });
    let said = left.await.unwrap_err().into_panic();
    let said = said.downcast::<String>().unwrap();
    assert!(said.contains("advisory lock \"other\""), "{said}");
    outside.unwrap().release_async().await.unwrap();
}
