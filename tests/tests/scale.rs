//! Many locks and many callers on a few connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pglock::{Database, Error, Guard};
use pglock_tests::{BOUND, Proxy, Server, TestDb, background, database, wait_until};
use tokio::task::JoinSet;

const HERE: &str = "pglock: here";

fn handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("here");
    builder.build().unwrap()
}

/// A lock that a handle holds which shares no session with [`handle`].
async fn hold_elsewhere(db: &TestDb, name: &'static str) -> Guard {
    let builder = Database::builder(db.url()).application_name("elsewhere");
    let lock = pglock::advisory(name).using(builder.build().unwrap());
    lock.acquire_async().await.unwrap()
}

/// Acquires the locks all at once.
async fn acquire_all(here: &Database, keys: std::ops::Range<i64>) -> Vec<Guard> {
    let mut tasks = JoinSet::new();
    for key in keys {
        let lock = pglock::advisory(key).using(here);
        tasks.spawn(lock.acquire_async());
    }
    let guards = tasks.join_all().await;
    guards.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn six_thousand_locks_at_once_need_two_connections_at_most() {
    let db = database();
    let here = handle(&db);
    let guards = acquire_all(&here, 0..6_000).await;
    // A session that was opened a moment ago may still be about to try one lock for its environment.
    wait_until("all are held", BOUND, || db.advisory_locks().len() == 6_000);
    let connections = db.backends_named(HERE).len();
    assert!(connections <= 2, "{connections}");
    drop(guards);
    // How soon is measured by the benchmarks; here the machine may be busy with much else.
    db.wait_for_no_locks_within(BOUND);
}

#[tokio::test]
async fn a_shared_session_that_dies_loses_just_its_locks() {
    let db = database();
    let here = handle(&db);
    let mut guards = acquire_all(&here, 0..500).await;
    let other = pglock::advisory("own").using(&here).dedicated();
    let other = other.acquire_async().await.unwrap();
    let locks = db.advisory_locks();
    let pid = locks.iter().find(|lock| lock.pid != locks[0].pid);
    let shared = if locks.iter().filter(|lock| lock.pid == locks[0].pid).count() > 1 {
        locks[0].pid
    } else {
        pid.unwrap().pid
    };
    db.terminate(shared);
    wait_until("all know", BOUND, || {
        guards.iter().all(|guard| guard.check().is_err())
    });
    other.check().unwrap();
    let error = guards.pop().unwrap().release_async().await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    drop(guards);
    let again = acquire_all(&here, 0..10).await;
    assert_eq!(db.advisory_locks().len(), 11);
    drop((again, other));
    db.wait_for_no_locks();
}

#[test]
fn tries_for_a_lock_of_this_process_ask_nobody() {
    let server = Server::start();
    let db = server.create_database();
    let proxy = Proxy::start(&server);
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    // Its session says soon what it holds.
    let before = proxy.round_trips();
    wait_until("it has said so", BOUND, || proxy.round_trips() > before);
    let (before, began) = (proxy.round_trips(), Instant::now());
    for _ in 0..300 {
        let lock = pglock::advisory("held").using(&here);
        assert!(lock.try_acquire().unwrap().is_none());
    }
    // But for a heartbeat each second.
    let asked = proxy.round_trips() - before;
    let beats = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(asked <= beats, "asked {asked} times");
    assert_eq!(proxy.connections(), 1);
    guard.release().unwrap();
}

#[test]
fn a_free_lock_is_not_said_to_be_busy_because_its_answer_is_late() {
    let server = Server::start();
    let db = server.create_database();
    let proxy = Proxy::start(&server);
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let warm = pglock::advisory("warm").using(&here).acquire().unwrap();
    proxy.stop_answers();
    let timeout = Duration::from_millis(100);
    let lock = pglock::advisory("late").using(&here).timeout(timeout);
    let late = background("the answer comes", move || lock.acquire());
    let began = Instant::now();
    wait_until("the time is over", BOUND, || began.elapsed() > 4 * timeout);
    proxy.resume();
    drop((late.finish(BOUND).unwrap(), warm));
    db.wait_for_no_locks();
}

#[test]
fn five_hundred_jobs_at_once_all_run_on_a_server_for_twelve() {
    let server = Server::builder().setting("max_connections", "12").start();
    let db = server.create_database();
    let here = handle(&db);
    let ran = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for job in 0..500 {
            let lock = pglock::advisory(format!("job {job}")).using(&here);
            let ran = &ran;
            scope.spawn(move || {
                lock.run(|| {
                    std::thread::yield_now();
                    ran.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Error>(())
                })
                .unwrap();
            });
        }
    });
    assert_eq!(ran.into_inner(), 500);
    db.wait_for_no_locks();
}

/// How many callers wait for one key: in a debug build, whose tests run beside each other, as many as are in time.
const CALLERS: usize = if cfg!(debug_assertions) {
    2_000
} else {
    10_000
};

/// How late the answer to a timeout may come here; on an idle machine it is a few milliseconds.
const LATE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 50 });

#[tokio::test]
async fn thousands_of_callers_of_one_busy_key_all_get_the_error_in_time() {
    let db = database();
    let here = handle(&db);
    let held = hold_elsewhere(&db, "busy").await;
    let mut tasks = JoinSet::new();
    let timeout = Duration::from_secs(1);
    for _ in 0..CALLERS {
        let lock = pglock::advisory("busy").using(&here).timeout(timeout);
        tasks.spawn(async move {
            let began = Instant::now();
            let error = lock.acquire_async().await.unwrap_err();
            (error, began.elapsed())
        });
    }
    let mut connections = 0;
    while let Some(waited) = tasks.join_next().await {
        let (error, after) = waited.unwrap();
        assert!(error.is_busy(), "{error}");
        assert!(after >= timeout && after < timeout + LATE, "{after:?}");
        if connections == 0 {
            connections = db.backends_named(HERE).len();
        }
    }
    assert!(connections <= 3, "{connections}");
    held.release_async().await.unwrap();
}

#[tokio::test]
async fn of_locks_that_are_busy_at_once_each_has_its_own_holder() {
    let db = database();
    let here = handle(&db);
    let timeout = Duration::from_millis(500);
    // Handles of different names share no session.
    let busy = |name: &'static str| {
        let lock = pglock::advisory(name);
        let other = Database::builder(db.url()).application_name(name).build();
        let held = lock.clone().using(other.unwrap()).acquire().unwrap();
        (lock.using(&here).timeout(timeout), held)
    };
    let (one, two) = (busy("one"), busy("two"));
    let holder_of = |lock: &pglock::Advisory| {
        let lock = lock.clone();
        async move {
            let error = lock.acquire_async().await.unwrap_err();
            error.holder().map(|holder| holder.application_name.clone())
        }
    };
    // What the server does not say in time is asked once more.
    let began = Instant::now();
    let mut told = (None, None);
    while told.0.is_none() || told.1.is_none() {
        assert!(began.elapsed() < BOUND, "{told:?}");
        told = tokio::join!(holder_of(&one.0), holder_of(&two.0));
    }
    let expected = ["pglock: one", "pglock: two"].map(|name| Some(name.to_owned()));
    assert_eq!(<[_; 2]>::from(told), expected);
    drop((one.1, two.1));
    db.wait_for_no_locks();
}

#[tokio::test]
async fn a_thousand_waiters_for_one_key_get_it_in_order() {
    let db = database();
    let here = handle(&db);
    let held = hold_elsewhere(&db, "queue").await;
    let served = std::cell::RefCell::new(Vec::new());
    let waits = futures_util::future::join_all((0..1_000).map(|number| {
        let (lock, served) = (pglock::advisory("queue").using(&here), &served);
        async move {
            lock.run_async(async {
                served.borrow_mut().push(number);
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        }
    }));
    let release = async {
        while db.waiting(pglock::advisory_id("queue")) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(db.waiting(pglock::advisory_id("queue")), 1);
        assert!(db.backends_named(HERE).len() <= 3);
        held.release_async().await.unwrap();
    };
    let mut waits = std::pin::pin!(waits);
    tokio::join!(waits.as_mut(), release);
    let expected: Vec<i32> = (0..1_000).collect();
    assert_eq!(*served.borrow(), expected);
    db.wait_for_no_locks();
}

#[tokio::test]
async fn cancels_by_others_lose_nothing_and_leave_nothing() {
    let db = database();
    let here = handle(&db);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let canceler = std::thread::spawn({
        let (stop, url) = (std::sync::Arc::clone(&stop), db.url().to_owned());
        move || {
            let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
            let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'pglock%' AND datname = current_database()";
            let mut canceled = 0_i64;
            while !stop.load(Ordering::Relaxed) {
                canceled += client.query_one(cancel, &[]).unwrap().get::<_, i64>(0);
            }
            canceled
        }
    });
    // As sessions are opened, too.
    for nr in 0..12 {
        let other = Database::builder(db.url()).application_name(format!("other {nr}"));
        drop(acquire_all(&other.build().unwrap(), 300..301).await);
    }
    let began = Instant::now();
    let mut held = 0;
    while began.elapsed() < Duration::from_secs(3) {
        let guards = acquire_all(&here, 0..200).await;
        held += guards.len();
        for guard in guards {
            guard.release_async().await.unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(canceler.join().unwrap() > 0, "nothing was canceled");
    assert!(held > 0);
    db.wait_for_no_locks();
}

#[tokio::test]
async fn a_full_lock_table_of_the_server_fails_only_what_does_not_fit() {
    // Others fill the table while we are below our own limit.
    let server = Server::builder()
        .setting("max_connections", "12")
        .setting("max_prepared_transactions", "0")
        .setting("max_locks_per_transaction", "10")
        .start();
    let db = server.create_database();
    let here = handle(&db);
    let (others, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let kept = acquire_all(&here, 0..10).await;
    let fill = "SELECT pg_advisory_lock(100000 + n) FROM generate_series(1, 100000) n";
    let filled = others.batch_execute(fill).await;
    assert!(filled.is_err(), "the table has no end");
    let mut tasks = JoinSet::new();
    for key in 20..60 {
        tasks.spawn(pglock::advisory(key).using(&here).acquire_async());
    }
    let results = tasks.join_all().await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert!(failed > 0, "all of them fitted");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.is_database(), "{error}");
    }
    assert!(kept.iter().all(|guard| guard.check().is_ok()));
    drop(results);
    drop(others);
    for guard in kept {
        guard.release_async().await.unwrap();
    }
    db.wait_for_no_locks();
}
