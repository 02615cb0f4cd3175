//! The bound on sessions, `max_sessions`.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use pglock::{Advisory, Database, Error, TransactionScope};
use pglock_tests::{BOUND, OWN, Server, TestDb, background, wait_until};

use crate::{SERVER, hold, runtime};

fn bounded(db: &TestDb, sessions: usize) -> Database {
    let builder = Database::builder(db.url());
    builder.max_sessions(sessions).build().unwrap()
}

/// A lock with a session of its own: the others share sessions, which the bound does not concern.
fn lock(name: &str, here: &Database) -> Advisory<TransactionScope> {
    pglock::advisory(name.to_owned()).using(here).xact()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn callers_wait_for_a_session_where_there_are_more_of_them_than_connections() {
    let server = Server::builder().setting("max_connections", "8").start();
    let db = server.create_database();
    let here = bounded(&db, 3);
    let most = RefCell::new(0);
    runtime().block_on(async {
        let tasks = tokio::task::LocalSet::new();
        let done = (0..200).map(|nr| {
            let lock = lock(&format!("lock {nr}"), &here);
            tasks.spawn_local(async move {
                let guard = lock.acquire_async().await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
                guard.release_async().await
            })
        });
        let done: Vec<_> = done.collect();
        tasks
            .run_until(async {
                for task in done {
                    task.await.unwrap().unwrap();
                    let mut most = most.borrow_mut();
                    *most = db.backends_named(OWN).len().max(*most);
                }
            })
            .await;
    });
    let most = most.into_inner();
    assert!((1..=3).contains(&most), "{most} sessions");
}

#[test]
fn callers_get_sessions_in_the_order_in_which_they_came() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let order = RefCell::new(Vec::new());
    runtime().block_on(async {
        let guard = lock("first", &here).acquire_async().await.unwrap();
        let caller = async |nr: u32| {
            let lock = lock(&format!("lock {nr}"), &here);
            let guard = lock.acquire_async().await.unwrap();
            order.borrow_mut().push(nr);
            guard.release_async().await.unwrap();
        };
        let release = async { guard.release_async().await.unwrap() };
        tokio::join!(
            caller(0),
            caller(1),
            caller(2),
            caller(3),
            caller(4),
            release
        );
    });
    assert_eq!(order.into_inner(), [0, 1, 2, 3, 4]);
}

#[test]
fn the_wait_for_a_session_ends_with_the_timeout_and_is_not_a_busy_lock() {
    let db = SERVER.create_database();
    let here = bounded(&db, 2);
    let guards = ["one", "two"].map(|name| lock(name, &here).acquire().unwrap());
    let began = Instant::now();
    let error = lock("free", &here).timeout(SECOND).acquire().unwrap_err();
    assert!(error.is_environment(), "{error}");
    assert!(error.to_string().contains("all 2 sessions"), "{error}");
    let waited = began.elapsed();
    assert!((SECOND..2 * SECOND).contains(&waited), "{waited:?}");

    let began = Instant::now();
    let error = lock("free", &here).try_acquire().unwrap_err();
    assert!(error.is_environment(), "{error}");
    assert!(began.elapsed() < SECOND);
    assert_eq!(db.backends_named(OWN).len(), 2);
    drop(guards);
    let free = lock("free", &here).timeout(BOUND).acquire().unwrap();
    free.release().unwrap();
}

#[test]
fn the_wait_for_a_session_is_part_of_the_wait_for_the_lock() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let release = hold(&db, "held");
    let guard = lock("first", &here).acquire().unwrap();
    let held = lock("held", &here).timeout(2 * SECOND);
    let began = Instant::now();
    let waits = background("it hears of the timeout", move || held.acquire());
    // What is measured is that this time is not given to it again.
    std::thread::sleep(SECOND * 3 / 2);
    guard.release().unwrap();
    let error = waits.finish(BOUND).unwrap_err();
    let waited = began.elapsed();
    assert!(error.is_busy(), "{error}");
    assert!((2 * SECOND..3 * SECOND).contains(&waited), "{waited:?}");
    release();
}

#[pglock::advisory("outer", client = client)]
fn on_a_connection(client: &mut postgres::Client, here: &Database) -> Result<(), Error> {
    lock("inner", here).timeout(SECOND).run(|| Ok(()))
}

#[test]
fn a_call_in_a_call_does_not_wait_for_itself() {
    let (db, other) = (SERVER.create_database(), SERVER.create_database());
    let (here, there) = (bounded(&db, 1), bounded(&other, 1));
    let _taken = lock("taken", &there).acquire().unwrap();
    let mut client = db.connect();
    let ok = || Ok::<_, Error>(());
    lock("outer", &here)
        .run(|| {
            // Not on the session of the outer one.
            lock("inner", &here).timeout(SECOND).run(ok)?;
            // In another database, where others may wait for the outer lock.
            lock("inner", &there).timeout(SECOND).run(ok)
        })
        .unwrap();
    let _guard = lock("taken", &here).acquire().unwrap();
    on_a_connection(&mut client, &here).unwrap();
}

#[test]
fn what_a_call_in_a_call_had_beyond_the_bound_goes_to_nobody() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let waits = lock("outer", &here)
        .run(|| {
            let waits = lock("other", &here);
            let waits = background("it has its lock", move || waits.acquire().unwrap());
            for _ in 0..20 {
                lock("inner", &here)
                    .timeout(SECOND)
                    .run(|| Ok::<_, Error>(()))?;
                assert_eq!(db.held(pglock::advisory_id("other")), 0);
            }
            Ok::<_, Error>(waits)
        })
        .unwrap();
    waits.finish(BOUND).release().unwrap();
}

#[test]
fn who_waits_for_a_session_in_use_has_no_part_in_anothers_failure_to_connect() {
    let server = Server::builder().setting("max_connections", "6").start();
    let db = server.create_database();
    let here = bounded(&db, 1);
    let mut others = Vec::new();
    let waits = lock("outer", &here)
        .run(|| {
            let waits = lock("other", &here);
            let waits = background("it has its lock", move || waits.acquire().map(drop));
            while let Ok(client) = postgres::Client::connect(db.url(), postgres::NoTls) {
                others.push(client);
            }
            for _ in 0..20 {
                let error = lock("inner", &here).run(|| Ok::<_, Error>(()));
                assert!(error.unwrap_err().is_connect());
            }
            Ok::<_, Error>(waits)
        })
        .unwrap();
    waits.finish(BOUND).unwrap();
}

#[test]
fn shared_sessions_do_not_count() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let shared = pglock::advisory("first").using(&here).acquire().unwrap();
    let transaction = lock("second", &here).timeout(SECOND).acquire();
    transaction.unwrap().release().unwrap();
    shared.release().unwrap();
}

#[test]
fn a_session_that_died_makes_room() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let guard = lock("first", &here).acquire().unwrap();
    let waits = lock("second", &here);
    let waits = background("it has its lock", move || waits.acquire().map(drop));
    db.terminate(db.backends_named(OWN)[0]);
    waits.finish(BOUND).unwrap();
    assert!(guard.release().unwrap_err().is_lost());
}

#[test]
fn handles_made_of_others_keep_the_bound_and_zero_is_refused() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let named = Database::builder(&here)
        .application_name("named")
        .build()
        .unwrap();
    let _guard = lock("first", &named).acquire().unwrap();
    assert!(
        lock("second", &named)
            .try_acquire()
            .unwrap_err()
            .is_environment()
    );
    let error = Database::builder(&here)
        .max_sessions(0)
        .build()
        .unwrap_err();
    assert!(error.is_config(), "{error}");
}

#[test]
fn a_caller_that_goes_away_leaves_its_place() {
    let db = SERVER.create_database();
    let here = bounded(&db, 1);
    let guard = lock("first", &here).acquire().unwrap();
    runtime().block_on(async {
        let wait = lock("second", &here).acquire_async();
        let gone = tokio::time::timeout(Duration::from_millis(100), wait).await;
        assert!(gone.is_err());
    });
    guard.release().unwrap();
    wait_until("the session is free", BOUND, || {
        lock("third", &here).try_acquire().is_ok()
    });
}
