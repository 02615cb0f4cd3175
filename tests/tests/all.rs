//! Several locks, or none of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Advisory, AllScope, Database, Error};
use pglock_tests::{BOUND, Proxy, TestDb, background, database, wait_until};

/// By handles of different names, which stand for processes.
fn handle(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

fn all(here: &Database, ids: &[&str]) -> Advisory<AllScope> {
    pglock::advisory_all(ids.to_vec()).using(here)
}

fn one(here: &Database, id: &str) -> Advisory {
    pglock::advisory(id.to_owned()).using(here)
}

/// How many locks are held, by whomever. A wait that is over may still be canceled.
fn locks_held(db: &TestDb) -> usize {
    let locks = db.advisory_locks();
    locks.iter().filter(|lock| lock.granted).count()
}

#[test]
fn all_are_held_and_all_are_released() {
    let db = database();
    let here = handle(&db, "here");
    let guard = all(&here, &["a", "b", "a", "c"]).acquire().unwrap();
    assert_eq!(locks_held(&db), 3);
    guard.check().unwrap();
    guard.release().unwrap();
    assert_eq!(locks_held(&db), 0);
    let guard = pollster::block_on(all(&here, &["b", "c"]).acquire_async()).unwrap();
    assert_eq!(locks_held(&db), 2);
    pollster::block_on(guard.release_async()).unwrap();
    assert_eq!(locks_held(&db), 0);
    drop(all(&here, &["a", "b"]).acquire().unwrap());
    db.wait_for_no_locks();
    let shared = [(); 2].map(|()| all(&here, &["a", "b"]).shared().acquire().unwrap());
    assert!(one(&here, "a").try_acquire().unwrap().is_none());
    drop(shared);
    db.wait_for_no_locks();
}

#[test]
fn free_ones_take_a_round_trip() {
    let db = database();
    let proxy = Proxy::start(pglock_tests::server());
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let ids: Vec<_> = (0..20).map(|nth| format!("lock-{nth}")).collect();
    let together = || pglock::advisory_all(&ids).using(&here);
    together().acquire().unwrap().release().unwrap();
    let before = proxy.round_trips();
    together().acquire().unwrap().release().unwrap();
    let taken = proxy.round_trips() - before;
    // One for all, and one for their release. What comes first may be alone in its statement.
    assert!((2..=4).contains(&taken), "{taken}");
}

#[test]
fn one_that_is_busy_keeps_the_others_free() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    for busy in ["a", "b", "c", "d"] {
        let held = one(&there, busy).acquire().unwrap();
        let lock = || all(&here, &["a", "b", "c", "d"]);
        assert!(lock().try_acquire().unwrap().is_none());
        assert_eq!(locks_held(&db), 1, "{busy}");
        let lock_in_time = lock().timeout(Duration::from_millis(300));
        let began = Instant::now();
        let holder = loop {
            let error = lock_in_time.clone().acquire().unwrap_err();
            assert!(error.is_busy(), "{error}");
            assert!(
                error.to_string().contains(&format!("\"{busy}\"")),
                "{error}"
            );
            assert_eq!(locks_held(&db), 1, "{busy}");
            // What the server does not say in time is asked once more.
            match error.holder() {
                Some(holder) => break holder.application_name.clone(),
                None => assert!(began.elapsed() < BOUND, "{error}"),
            }
        };
        assert_eq!(holder, "pglock: there");
        let waiter = background("it gets all", {
            let lock = lock();
            move || lock.acquire().unwrap()
        });
        let id = pglock::advisory_id(busy);
        wait_until("it waits", BOUND, || db.waiting(id) == 1);
        held.release().unwrap();
        let guard = waiter.finish(BOUND);
        assert_eq!(locks_held(&db), 4);
        guard.release().unwrap();
        db.wait_for_no_locks();
    }
}

#[test]
fn callers_of_several_locks_never_wait_in_a_ring() {
    const ROUNDS: usize = 40;
    let db = database();
    let inside = [(); 4].map(|()| AtomicUsize::new(0));
    thread::scope(|scope| {
        for process in 0..4 {
            for thread in 0..2 {
                let here = handle(&db, &format!("process {process}"));
                let inside = &inside;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        // Pairs in all orders.
                        let first = (process + thread + round) % 4;
                        let second = (first + 1 + (round / 4) % 3) % 4;
                        let ids = [first, second].map(|nth| format!("account-{nth}"));
                        let guard = pglock::advisory_all(&ids).using(&here).acquire().unwrap();
                        for account in [first, second] {
                            assert_eq!(inside[account].fetch_add(1, Ordering::SeqCst), 0);
                        }
                        for account in [first, second] {
                            inside[account].fetch_sub(1, Ordering::SeqCst);
                        }
                        drop(guard);
                    }
                });
            }
        }
    });
    db.wait_for_no_locks();
}

#[test]
fn of_tries_for_the_same_locks_at_the_same_moment_one_succeeds() {
    const ROUNDS: usize = 30;
    let db = database();
    let handles = ["one", "two", "three"].map(|name| handle(&db, name));
    let barrier = std::sync::Barrier::new(handles.len());
    for round in 0..ROUNDS {
        let guards: Vec<_> = thread::scope(|scope| {
            let tries = handles.each_ref().map(|here| {
                scope.spawn(|| {
                    barrier.wait();
                    all(here, &["a", "b", "c"]).try_acquire().unwrap()
                })
            });
            tries
                .into_iter()
                .map(|tried| tried.join().unwrap())
                .collect()
        });
        let had = guards.iter().flatten().count();
        assert_eq!(had, 1, "{round}");
        drop(guards);
        db.wait_for_no_locks();
    }
}

#[test]
fn a_try_waits_a_moment_for_those_who_hold_the_next_one() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    let began = Instant::now();
    // On a busy machine the moment may be over before it is seen.
    loop {
        let held = pglock::advisory(2).using(&there).acquire().unwrap();
        let tries = pglock::advisory_all([1, 2]).using(&here);
        let tries = thread::spawn(move || tries.try_acquire().unwrap());
        wait_until("it waits for the second, or is over", BOUND, || {
            db.waiting(2) == 1 || tries.is_finished()
        });
        held.release().unwrap();
        if tries.join().unwrap().is_some() {
            break;
        }
        assert!(began.elapsed() < BOUND, "it never waits");
    }
    db.wait_for_no_locks();
}

#[test]
fn the_loss_of_one_is_the_loss_of_all() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    // The one that has to be waited for is on another session than the others.
    let ids = ["a", "b", "c"];
    for end_the_waited_for in [false, true] {
        let held = one(&there, "b").acquire().unwrap();
        let waiter = background("it gets all", {
            let here = here.clone();
            move || all(&here, &ids).acquire().unwrap()
        });
        wait_until("it waits", BOUND, || {
            db.waiting(pglock::advisory_id("b")) == 1
        });
        held.release().unwrap();
        let guard = waiter.finish(BOUND);
        let of_b = pglock_tests::Key::from(pglock::advisory_id("b"));
        let locks = db.advisory_locks();
        let ended = locks
            .iter()
            .find(|lock| (lock.key == of_b) == end_the_waited_for);
        db.terminate(ended.unwrap().pid);
        let lost = background("it is told", move || {
            let lost = pollster::block_on(guard.lost_async());
            (lost, guard)
        });
        let (lost, guard) = lost.finish(BOUND);
        assert!(lost.is_lost(), "{lost}");
        assert!(guard.check().unwrap_err().is_lost());
        assert!(guard.release().unwrap_err().is_lost());
        db.wait_for_no_locks();
    }
}

#[test]
fn calls_inside_share_the_locks_and_ask_for_what_is_missing() {
    let db = database();
    let here = handle(&db, "here");
    let count = || locks_held(&db);
    let counted = || Ok::<_, Error>(count());
    let inner = || {
        assert_eq!(count(), 2);
        // One of them, both, and one more.
        assert_eq!(one(&here, "b").run(counted)?, 2);
        assert_eq!(all(&here, &["a", "b"]).run(counted)?, 2);
        assert_eq!(all(&here, &["b", "c"]).run(counted)?, 3);
        assert_eq!(count(), 2);
        // A guard would wait for this very call.
        assert!(one(&here, "b").acquire().unwrap_err().is_config());
        assert!(all(&here, &["b", "c"]).acquire().unwrap_err().is_config());
        Ok::<_, Error>(())
    };
    all(&here, &["a", "b"]).run(inner).unwrap();
    assert_eq!(count(), 0);
    let inside = one(&here, "b").run(|| all(&here, &["a", "b"]).run(counted));
    assert_eq!(inside.unwrap(), 2);
    db.wait_for_no_locks();
}

#[test]
fn the_loss_of_one_that_is_shared_stops_the_call_inside() {
    let db = database();
    let here = handle(&db, "here");
    let told = background("it is told", move || {
        let outer = one(&here, "a").dedicated();
        outer.run(|| {
            let inner = all(&here, &["a", "b"]).run_async(async {
                let of_a = pglock_tests::Key::from(pglock::advisory_id("a"));
                let locks = db.advisory_locks();
                assert_eq!(locks.len(), 2);
                db.terminate(locks.iter().find(|lock| lock.key == of_a).unwrap().pid);
                std::future::pending::<Result<(), Error>>().await
            });
            pollster::block_on(inner)
        })
    });
    let error = told.finish(BOUND).unwrap_err();
    assert!(error.is_lost(), "{error}");
}

#[test]
fn a_call_inside_that_blocks_is_told_of_the_loss_of_one_that_is_shared() {
    let db = database();
    let here = handle(&db, "here");
    let shared = pglock_tests::Key::from(pglock::advisory_id("a"));
    let body = || {
        let locks = db.advisory_locks();
        let of_shared = locks.iter().find(|lock| lock.key == shared).unwrap();
        db.terminate(of_shared.pid);
        wait_until("the loss is known", BOUND, || pglock::check().is_err());
        Ok::<_, Error>(())
    };
    let outer = one(&here, "a").dedicated();
    let mut inner = None;
    let told = outer.run(|| {
        inner = Some(all(&here, &["a", "b"]).run(body));
        Ok::<_, Error>(())
    });
    assert!(told.unwrap_err().is_lost());
    let told = inner.unwrap().unwrap_err();
    assert!(told.is_lost() && told.body_finished(), "{told}");
    assert!(told.to_string().contains("\"a\""), "{told}");
}

#[test]
fn none_and_too_many_are_refused() {
    let db = database();
    let here = handle(&db, "here");
    let many: Vec<_> = (0..65_i64).collect();
    for ids in [&many[..0], &many] {
        let error = pglock::advisory_all(ids.to_vec())
            .using(&here)
            .acquire()
            .unwrap_err();
        assert!(error.is_config(), "{error}");
    }
    let most = pglock::advisory_all(many[..64].to_vec())
        .using(&here)
        .acquire();
    most.unwrap().release().unwrap();
}

#[test]
fn a_caller_that_is_gone_leaves_nothing() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    let held = one(&there, "b").acquire().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let wait = all(&here, &["a", "b", "c"]).acquire_async();
        let waited = tokio::time::timeout(Duration::from_millis(300), wait).await;
        assert!(waited.is_err());
    });
    wait_until("only the other one is held", BOUND, || locks_held(&db) == 1);
    held.release().unwrap();
}

#[test]
fn they_are_kept_together() {
    let db = database();
    let here = handle(&db, "here");
    let kept = all(&here, &["a", "b"]).hold_at_least(Duration::from_secs(2));
    kept.run(|| Ok::<_, Error>(())).unwrap();
    assert_eq!(locks_held(&db), 2);
    db.wait_for_no_locks_within(BOUND);
}
