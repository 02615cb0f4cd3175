//! Blocking callers that are alone borrow the shared session: their thread sends its statements itself.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Database, ErrorKind};
use pglock_tests::{BOUND, Proxy, Server, TestDb, background, wait_until};

/// One test at a time: they look at what this process does.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn database(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

fn pair(here: &Database, name: &str) {
    let guard = pglock::advisory(name).using(here).acquire().unwrap();
    guard.release().unwrap();
}

/// The session of pglock's that many locks share, once there is one.
fn shared_session(db: &TestDb, here: &Database) -> i32 {
    let guard = pglock::advisory("first").using(here).acquire().unwrap();
    let pid = db.advisory_locks()[0].pid;
    guard.release().unwrap();
    pid
}

fn signal(name: &str, pid: i32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// How often pglock's thread has gone to sleep.
#[cfg(target_os = "linux")]
fn sleeps() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("status")).unwrap()
    };
    let ours = tasks
        .map(status)
        .find(|status| status.starts_with("Name:\tpglock\n"));
    let ours = ours.expect("pglock's thread runs");
    let count = ours
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_caller_that_is_alone_does_not_wake_the_thread() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    for _ in 0..10 {
        pair(&here, "warm");
    }
    let before = sleeps();
    for n in 0..1_000 {
        pair(&here, &format!("lock {n}"));
    }
    let woken = sleeps() - before;
    // It looks a hundred times a second whether the session is still lent.
    assert!(woken < 500, "woken {woken} times for 1,000 pairs");
    db.wait_for_no_locks();
}

#[test]
fn the_end_of_a_session_that_nobody_uses_any_more_is_noticed() {
    let _alone = alone();
    let db = pglock_tests::database();
    let builder = Database::builder(db.url());
    // Not by its heartbeat.
    let here = builder.heartbeat(Duration::from_secs(300)).build().unwrap();
    let pid = shared_session(&db, &here);
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    // With its last statement, pglock's thread says what the session holds.
    wait_until("it is named", BOUND, || {
        db.statement_of(pid).contains("held")
    });
    pair(&here, "borrows it again");
    db.terminate(pid);
    wait_until("the loss is known", BOUND, || guard.check().is_err());
    assert!(guard.release().unwrap_err().is_lost());
    pair(&here, "held");
}

#[test]
fn a_session_that_ends_between_two_calls_costs_none_of_them() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    for _ in 0..20 {
        let pid = shared_session(&db, &here);
        db.terminate(pid);
        // Whether its end has been noticed yet or not.
        pair(&here, "next");
    }
    db.wait_for_no_locks();
}

#[test]
fn a_server_that_is_slow_keeps_nobody_else_waiting() {
    let _alone = alone();
    let server = Server::start();
    let (slow, other) = (server.create_database(), server.create_database());
    let (here, elsewhere) = (database(&slow), database(&other));
    let pid = shared_session(&slow, &here);
    pair(&elsewhere, "warm");
    signal("-STOP", pid);
    let waits = |name: &'static str| {
        let here = here.clone();
        background("it is answered", move || {
            let lock = pglock::advisory(name).using(&here);
            lock.acquire().unwrap().release().unwrap();
        })
    };
    let callers = ["a", "b", "a", "c"].map(waits);
    let began = Instant::now();
    for _ in 0..100 {
        pair(&elsewhere, "other");
    }
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let lock = pglock::advisory("other").using(&elsewhere);
        lock.run_async(async { Ok::<_, pglock::Error>(()) })
            .await
            .unwrap();
    });
    signal("-CONT", pid);
    for caller in callers {
        caller.finish(BOUND);
    }
    slow.wait_for_no_locks();
}

#[test]
fn a_server_that_falls_silent_is_an_error_to_a_borrower() {
    let _alone = alone();
    let db = pglock_tests::database();
    let proxy = Proxy::start(pglock_tests::server());
    let here = Database::builder(proxy.url(db.name()))
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    pair(&here, "warm");
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    proxy.stop_answers();
    let error = background("it is told", move || {
        pglock::advisory("asked").using(&here).acquire().err()
    });
    let error = error.finish(BOUND).unwrap();
    assert!(error.is_connect(), "{error}");
    assert!(guard.release().unwrap_err().is_lost());
    proxy.resume();
    db.wait_for_no_locks();
}

#[test]
fn a_busy_lock_is_reported_with_its_holder_to_a_borrower() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    shared_session(&db, &here);
    let mut client = db.connect_as("the other one");
    let held = pglock::advisory("busy").on(&mut client).acquire().unwrap();
    let lock = || pglock::advisory("busy").using(&here);
    for error in [
        lock().timeout(Duration::ZERO).acquire().err(),
        lock().timeout(Duration::from_millis(100)).acquire().err(),
    ] {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("the other one"), "{error}");
    }
    let waits = {
        let lock = lock();
        background("it gets the lock", move || {
            lock.acquire().unwrap().release().unwrap();
        })
    };
    db.wait_for_waiters(1);
    held.release().unwrap();
    waits.finish(BOUND);
    db.wait_for_no_locks();
}

#[test]
fn threads_and_tasks_that_take_turns_exclude_each_other_and_none_hangs() {
    const PAIRS: usize = 1_500;
    const LOCKS: [&str; 3] = ["one", "two", "three"];
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    let inside: [AtomicUsize; 3] = Default::default();
    let enter = |lock: usize| assert_eq!(inside[lock].fetch_add(1, Ordering::SeqCst), 0);
    let leave = |lock: usize| assert_eq!(inside[lock].fetch_sub(1, Ordering::SeqCst), 1);
    let lock = |at: usize| pglock::advisory(LOCKS[at]).using(&here);
    thread::scope(|scope| {
        for caller in 0..4 {
            let (enter, leave) = (&enter, &leave);
            scope.spawn(move || {
                for n in 0..PAIRS {
                    let at = (n * 7 + caller) % LOCKS.len();
                    let guard = lock(at).acquire().unwrap();
                    enter(at);
                    leave(at);
                    if n % 5 == 0 {
                        // Released in the background.
                        drop(guard);
                    } else {
                        guard.release().unwrap();
                    }
                    if n % 100 == caller * 10 {
                        // Long enough for others to be alone.
                        thread::sleep(Duration::from_millis(3));
                    }
                }
            });
        }
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                for n in 0..PAIRS {
                    let at = n % LOCKS.len();
                    let guard = lock(at).acquire_async().await.unwrap();
                    enter(at);
                    tokio::task::yield_now().await;
                    leave(at);
                    guard.release_async().await.unwrap();
                }
            });
        });
    });
    db.wait_for_no_locks();
}

#[test]
fn what_a_borrower_reads_for_others_reaches_them() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    shared_session(&db, &here);
    let lock = || pglock::advisory("shared").using(&here);
    thread::scope(|scope| {
        for caller in 0..6 {
            scope.spawn(move || {
                for n in 0..500 {
                    let guard = if (n + caller) % 3 == 0 {
                        lock().try_acquire().unwrap()
                    } else {
                        Some(lock().shared().acquire().unwrap())
                    };
                    if let Some(guard) = guard {
                        guard.release().unwrap();
                    }
                    if n % 20 == 0 {
                        thread::sleep(Duration::from_micros(1_500));
                    }
                }
            });
        }
    });
    db.wait_for_no_locks();
}
