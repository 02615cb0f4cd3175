//! Callers that are alone borrow the shared session: their thread, or their executor's, sends its statements itself.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Database, Error, ErrorKind};
use pglock_tests::{BOUND, Proxy, Server, Signal, TestDb, background, signal_backend, wait_until};
use tokio::runtime::{self, Runtime};

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

async fn async_pair(here: &Database, name: &str) {
    let lock = pglock::advisory(name).using(here);
    lock.acquire_async()
        .await
        .unwrap()
        .release_async()
        .await
        .unwrap();
}

fn executor() -> Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The session of pglock's that many locks share, once there is one.
fn shared_session(db: &TestDb, here: &Database) -> i32 {
    let guard = pglock::advisory("first").using(here).acquire().unwrap();
    let pid = db.advisory_locks()[0].pid;
    guard.release().unwrap();
    pid
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
    let woken = |pairs: &dyn Fn()| {
        let before = sleeps();
        pairs();
        sleeps() - before
    };
    let blocking = woken(&|| {
        for n in 0..1_000 {
            pair(&here, &format!("lock {n}"));
        }
    });
    let executor = executor();
    let awaiting = || {
        woken(&|| {
            executor.block_on(async {
                for n in 0..1_000 {
                    async_pair(&here, &format!("lock {n}")).await;
                }
            });
        })
    };
    // It looks a hundred times a second whether the session is still lent.
    assert!(blocking < 500, "woken {blocking} times by 1,000 pairs");
    // It also has the answers that are not quick, of which there are some on a machine that does other work.
    let counts: Vec<_> = (0..20)
        .map(|_| awaiting())
        .take_while(|woken| *woken >= 1_000)
        .collect();
    assert!(counts.len() < 20, "woken {counts:?} times by 1,000 pairs");
    db.wait_for_no_locks();
}

#[test]
fn tasks_of_one_executor_share_statements() {
    const TASKS: usize = 50;
    let _alone = alone();
    let db = pglock_tests::database();
    let proxy = Proxy::start(pglock_tests::server());
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    pair(&here, "warm");
    let before = proxy.round_trips();
    executor().block_on(async {
        let names: Vec<_> = (0..TASKS).map(|n| format!("lock {n}")).collect();
        let tasks = names.into_iter().map(|name| {
            let here = here.clone();
            tokio::spawn(async move { async_pair(&here, &name).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let round_trips = proxy.round_trips() - before;
    assert!(
        round_trips < TASKS,
        "{round_trips} round trips for {TASKS} pairs"
    );
    db.wait_for_no_locks();
}

#[test]
fn a_slow_server_keeps_no_executor_from_other_work() {
    let _alone = alone();
    let server = Server::start();
    let db = server.create_database();
    let here = database(&db);
    let pid = shared_session(&db, &here);
    let executor = executor();
    executor.block_on(async_pair(&here, "warm"));
    signal_backend(pid, Signal::STOP);
    executor.block_on(async {
        let waits = async_pair(&here, "asked");
        let works = async {
            let began = Instant::now();
            let mut longest = Duration::ZERO;
            while began.elapsed() < Duration::from_millis(200) {
                let turn = Instant::now();
                tokio::task::yield_now().await;
                longest = longest.max(turn.elapsed());
            }
            signal_backend(pid, Signal::CONT);
            longest
        };
        let ((), longest) = tokio::join!(waits, works);
        // Not for as long as the server is silent; how long a moment takes depends on the machine.
        assert!(longest < Duration::from_millis(100), "{longest:?}");
    });
    db.wait_for_no_locks();
}

#[test]
fn a_future_that_is_dropped_at_any_point_leaves_no_lock() {
    let _alone = alone();
    let server = Server::start();
    let db = server.create_database();
    let here = database(&db);
    let pid = shared_session(&db, &here);
    for is_silent in [false, true] {
        for polls in 1..4 {
            // The releases, one of which is handed to pglock's thread where the server is silent.
            let guard = pglock::advisory("held").using(&here).acquire().unwrap();
            if is_silent {
                signal_backend(pid, Signal::STOP);
            }
            poll_and_drop(guard.release_async(), polls);
            poll_and_drop(async_pair(&here, "asked"), polls);
            if is_silent {
                signal_backend(pid, Signal::CONT);
            }
            db.wait_for_no_locks();
        }
    }
}

/// Drops it after so many polls.
fn poll_and_drop(future: impl Future, polls: u32) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if future.as_mut().poll(&mut cx).is_ready() {
            return;
        }
    }
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
fn what_the_server_said_last_is_told_though_a_borrower_finds_the_end() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    for _ in 0..20 {
        let pid = shared_session(&db, &here);
        let guard = pglock::advisory("held").using(&here).acquire().unwrap();
        pair(&here, "lent");
        db.terminate(pid);
        pair(&here, "next");
        wait_until("the loss is known", BOUND, || guard.check().is_err());
        let error = guard.release().unwrap_err();
        assert!(error.to_string().contains("terminating"), "{error}");
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
    signal_backend(pid, Signal::STOP);
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
    executor().block_on(async_pair(&elsewhere, "other"));
    signal_backend(pid, Signal::CONT);
    for caller in callers {
        caller.finish(BOUND);
    }
    slow.wait_for_no_locks();
}

#[test]
fn a_wait_that_is_dropped_after_it_was_handed_over_is_withdrawn() {
    let _alone = alone();
    let db = pglock_tests::database();
    let here = database(&db);
    shared_session(&db, &here);
    let mut client = db.connect();
    let held = pglock::advisory("busy").on(&mut client).acquire().unwrap();
    let mut waits = Box::pin(async_pair(&here, "busy"));
    let mut cx = Context::from_waker(Waker::noop());
    wait_until("it waits in the server", BOUND, || {
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        !db.blocked_pids().is_empty()
    });
    drop(waits);
    wait_until("nobody waits", BOUND, || db.blocked_pids().is_empty());
    held.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_server_that_falls_silent_is_an_error_to_a_borrower() {
    let _alone = alone();
    let db = pglock_tests::database();
    let proxy = Proxy::start(pglock_tests::server());
    // What is tried again is a new session.
    let url = format!("{}?connect_timeout=2", proxy.url(db.name()));
    let here = Database::builder(url)
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    pair(&here, "warm");
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    proxy.stop_answers();
    let told = |ask: fn(&Database) -> Option<Error>| {
        let here = here.clone();
        background("it is told", move || ask(&here))
    };
    let blocking = told(|here| pglock::advisory("asked").using(here).acquire().err());
    let awaiting = told(|here| {
        let lock = pglock::advisory("asked too").using(here);
        executor().block_on(lock.acquire_async()).err()
    });
    for error in [blocking, awaiting] {
        let error = error.finish(BOUND).unwrap();
        assert!(error.is_connect(), "{error}");
    }
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
    let executor = executor();
    let awaited = |timeout| {
        let acquired = executor.block_on(lock().timeout(timeout).acquire_async());
        acquired.err()
    };
    let short = Duration::from_millis(100);
    for error in [
        lock().timeout(Duration::ZERO).acquire().err(),
        lock().timeout(short).acquire().err(),
        awaited(Duration::ZERO),
        awaited(short),
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
    let (enter, leave, lock) = (&enter, &leave, &lock);
    thread::scope(|scope| {
        for caller in 0..4 {
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
            let task = |first: usize| async move {
                for n in first..first + PAIRS {
                    let at = n % LOCKS.len();
                    let guard = lock(at).acquire_async().await.unwrap();
                    enter(at);
                    tokio::task::yield_now().await;
                    leave(at);
                    guard.release_async().await.unwrap();
                    if n % 100 == 0 {
                        // Long enough for the other to be alone.
                        tokio::time::sleep(Duration::from_millis(3)).await;
                    }
                }
            };
            executor().block_on(async { tokio::join!(task(0), task(1)) });
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
