//! Locks on pglock's own sessions: exclusion between processes, timeouts, modes, ids, errors.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future as _, poll_fn};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pglock::{Database, ErrorKind, Guard, LockId};
use pglock_tests::{BOUND, Child, OWN, TestDb, background, child, database, wait_until};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// A handle that shares no session with [`handle`]: what one holds, the other waits for in the server.
fn another_handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("another handle");
    builder.build().unwrap()
}

/// Another process that holds `lock` until it is told to end. Its id is `HOLDER` or what the role says.
fn hold_in_this_process(mode: &str) {
    let database = Database::builder(child::argument("URL"))
        .application_name("other")
        .build()
        .unwrap();
    let lock = pglock::advisory(child::argument("LOCK").as_str()).using(&database);
    let lock = if mode == "shared" {
        lock.shared()
    } else {
        lock
    };
    let guard: Guard = lock.acquire().unwrap();
    child::say("got");
    child::wait_for_end();
    guard.release().unwrap();
}

fn held_elsewhere(db: &TestDb, test: &str, role: &str, lock: &str) -> Child {
    let mut child = Child::of(test, role)
        .argument("URL", db.url())
        .argument("LOCK", lock)
        .start();
    child.wait_for_line("got", BOUND);
    child
}

#[test]
fn another_process_excludes_and_is_named() {
    if let Some(role) = child::role() {
        return hold_in_this_process(&role);
    }
    let db = database();
    let here = handle(&db);
    let mut other = held_elsewhere(
        &db,
        "another_process_excludes_and_is_named",
        "exclusive",
        "invoices",
    );
    assert_eq!(db.held(pglock::advisory_id("invoices")), 1);

    assert!(
        pglock::advisory("invoices")
            .using(&here)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    assert!(
        pglock::advisory("invoices")
            .using(&here)
            .shared()
            .try_acquire()
            .unwrap()
            .is_none()
    );

    let began = Instant::now();
    let error = pglock::advisory("invoices")
        .using(&here)
        .timeout(Duration::from_millis(200))
        .acquire()
        .unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(error.kind(), ErrorKind::Busy);
    let holder = error.holder().expect("it is there");
    assert_eq!(holder.application_name, "pglock: other");
    assert_eq!(vec![holder.pid], db.backends_named("pglock: other"));
    wait_until("it is known since when", BOUND, || {
        let lock = pglock::advisory("invoices").using(&here);
        let busy = lock.timeout(Duration::ZERO).acquire().unwrap_err();
        busy.holder().is_some_and(|holder| holder.since.is_some())
    });
    assert!(
        error.to_string().contains("pglock: other") && !holder.this_process,
        "{error}"
    );

    other.finish(BOUND);
    let guard = pglock::advisory("invoices")
        .using(&here)
        .try_acquire()
        .unwrap()
        .expect("it is free");
    guard.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn the_holder_of_the_same_key_in_another_database_is_not_named() {
    let (db, other) = (database(), database());
    let (mut here, mut elsewhere) = (db.connect_as("here"), other.connect_as("elsewhere"));
    // Who keeps everybody out is named before who shares.
    let _held_there = pglock::advisory("same").on(&mut elsewhere).acquire();
    let _held_here = pglock::advisory("same").shared().on(&mut here).acquire();
    let busy = pglock::advisory("same")
        .using(handle(&db))
        .timeout(Duration::ZERO)
        .acquire()
        .unwrap_err();
    assert_eq!(busy.holder().unwrap().application_name, "here");
}

#[test]
fn a_waiter_gets_it_when_the_holder_is_killed() {
    if let Some(role) = child::role() {
        return hold_in_this_process(&role);
    }
    let db = database();
    let here = handle(&db);
    let mut other = held_elsewhere(
        &db,
        "a_waiter_gets_it_when_the_holder_is_killed",
        "exclusive",
        "killed",
    );
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pglock::advisory("killed").using(&here).acquire());
        db.wait_for_waiters(1);
        other.kill();
        waiter.join().unwrap().unwrap().release().unwrap();
    });
    db.wait_for_no_locks();
}

#[test]
fn a_killed_waiter_leaves_the_queue() {
    if let Some(role) = child::role() {
        let database = Database::builder(child::argument("URL")).build().unwrap();
        let lock = pglock::advisory(child::argument("LOCK").as_str()).using(&database);
        drop(if role == "xact" {
            lock.xact().acquire()
        } else {
            lock.acquire()
        });
        return;
    }
    let db = database();
    let guard = pglock::advisory("killed")
        .using(handle(&db))
        .acquire()
        .unwrap();
    for role in ["session", "xact"] {
        let mut waiter = Child::of("a_killed_waiter_leaves_the_queue", role)
            .argument("URL", db.url())
            .argument("LOCK", "killed")
            .start();
        db.wait_for_waiters(1);
        waiter.kill();
        wait_until("it left the queue", Duration::from_secs(4), || {
            db.waiting(pglock::advisory_id("killed")) == 0
        });
    }
    guard.release().unwrap();
}

#[test]
fn shared_holders_share_and_keep_exclusive_out() {
    if let Some(role) = child::role() {
        return hold_in_this_process(&role);
    }
    let db = database();
    let here = handle(&db);
    let _other = held_elsewhere(
        &db,
        "shared_holders_share_and_keep_exclusive_out",
        "shared",
        "report",
    );
    let guard = pglock::advisory("report")
        .using(&here)
        .shared()
        .acquire()
        .unwrap();
    assert_eq!(db.held(pglock::advisory_id("report")), 2);
    assert!(
        pglock::advisory("report")
            .using(&here)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    guard.release().unwrap();
}

#[test]
fn ids_are_what_pg_locks_shows() {
    let db = database();
    let here = handle(&db);
    let one = pglock::advisory("a.b.c").using(&here).acquire().unwrap();
    let two = pglock::advisory(i64::MAX).using(&here).acquire().unwrap();
    let three = pglock::advisory(i64::MIN).using(&here).acquire().unwrap();
    let four = pglock::advisory((-7, 8)).using(&here).acquire().unwrap();
    assert_eq!(db.held(pglock::advisory_id("a.b.c")), 1);
    assert_eq!(db.held(pglock::advisory_id(i64::MAX)), 1);
    assert_eq!(db.held(i64::MIN), 1);
    assert_eq!(db.held((-7, 8)), 1);
    assert_eq!(db.advisory_locks().len(), 4);
    for guard in [one, two, three, four] {
        guard.release().unwrap();
    }
    db.wait_for_no_locks();
}

#[test]
fn xact_holds_a_transaction_open_and_ends_it() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("ledger")
        .using(&here)
        .xact()
        .acquire()
        .unwrap();
    assert_eq!(db.held(pglock::advisory_id("ledger")), 1);
    assert!(
        pglock::advisory("ledger")
            .using(&here)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    assert!(
        pglock::advisory("ledger")
            .using(&here)
            .xact()
            .try_acquire()
            .unwrap()
            .is_none()
    );
    let busy = pglock::advisory("ledger")
        .using(&here)
        .xact()
        .timeout(Duration::from_millis(50))
        .acquire();
    assert!(busy.unwrap_err().is_busy());
    guard.release().unwrap();
    db.wait_for_no_locks();
    pglock::advisory("ledger")
        .using(&here)
        .xact()
        .acquire()
        .unwrap()
        .release()
        .unwrap();
}

#[test]
fn dropping_a_guard_releases_before_the_next_try() {
    let db = database();
    let here = handle(&db);
    for _ in 0..200 {
        let guard = pglock::advisory("again")
            .using(&here)
            .try_acquire()
            .unwrap();
        drop(guard.expect("the guard before was dropped"));
    }
    db.wait_for_no_locks();
}

#[test]
fn one_process_waits_with_one_session_per_key() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("queue")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    pglock::advisory("queue")
                        .using(&here)
                        .timeout(BOUND)
                        .run(|| Ok::<_, pglock::Error>(()))
                })
            })
            .collect();
        db.wait_for_waiters(1);
        // All have asked by the time that one with a short timeout, asked last, has given up.
        let busy = pglock::advisory("queue")
            .using(&here)
            .timeout(Duration::from_millis(200))
            .acquire();
        assert!(busy.unwrap_err().is_busy());
        assert_eq!(db.waiting(pglock::advisory_id("queue")), 1);
        guard.release().unwrap();
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
    });
    db.wait_for_no_locks();
}

#[test]
fn waiting_is_first_come_first_served() {
    let db = database();
    // Settings that differ make databases of their own, so that all wait in the server.
    let places: Vec<Database> = (0..6)
        .map(|number| {
            let builder = Database::builder(db.url()).application_name(format!("place {number}"));
            builder.build().unwrap()
        })
        .collect();
    let guard = pglock::advisory("queue")
        .using(handle(&db))
        .acquire()
        .unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (number, place) in places.iter().enumerate() {
            let order = &order;
            scope.spawn(move || {
                let lock = pglock::advisory("queue").using(place);
                lock.run(|| {
                    order.lock().unwrap().push(number);
                    Ok::<_, pglock::Error>(())
                })
                .unwrap();
            });
            db.wait_for_waiters(number + 1);
        }
        guard.release().unwrap();
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn callers_of_one_process_are_served_in_their_order() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("queue")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    let order = RefCell::new(Vec::new());
    let mut calls: Vec<_> = (0..6)
        .map(|number| {
            let (order, lock) = (&order, pglock::advisory("queue").using(&here));
            Box::pin(lock.run_async(async move {
                order.borrow_mut().push(number);
                Ok::<_, pglock::Error>(())
            }))
        })
        .collect();
    // They ask in this order.
    for call in &mut calls {
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    db.wait_for_waiters(1);
    guard.release().unwrap();
    pollster::block_on(poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Ready(result) => {
                result.unwrap();
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_burst_of_session_locks_does_not_keep_xact_locks_from_using_a_session_again() {
    let db = database();
    let here = handle(&db);
    let burst: Vec<_> = (0..12)
        .map(|key| pglock::advisory(key).using(&here).acquire().unwrap())
        .collect();
    for guard in burst {
        guard.release().unwrap();
    }
    let pid_of_a_lock = || {
        let guard = pglock::advisory("xact").using(&here).xact().acquire();
        let pid = db.advisory_locks()[0].pid;
        guard.unwrap().release().unwrap();
        pid
    };
    let first = pid_of_a_lock();
    for _ in 0..3 {
        assert_eq!(pid_of_a_lock(), first, "each lock has opened a session");
    }
}

#[test]
fn sessions_are_used_again() {
    let db = database();
    let here = handle(&db);
    let mut used = HashSet::new();
    for _ in 0..50 {
        let guard = pglock::advisory("reuse").using(&here).acquire().unwrap();
        used.extend(db.backends_named(OWN));
        guard.release().unwrap();
    }
    assert_eq!(used.len(), 1, "{used:?}");
}

#[test]
fn a_wait_for_oneself_is_refused_and_not_hung() {
    let db = database();
    let here = handle(&db);
    let calls = background("the calls return", move || {
        let guard = pglock::advisory("self").using(&here).acquire().unwrap();
        let error = pglock::advisory("self").using(&here).acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        let error = pglock::advisory("self")
            .using(&here)
            .run(|| Ok::<_, pglock::Error>(()))
            .unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(
            pglock::advisory("self")
                .using(&here)
                .timeout(Duration::from_millis(20))
                .acquire()
                .unwrap_err()
                .is_busy()
        );
        let busy = pglock::advisory("self")
            .using(&here)
            .timeout(Duration::ZERO)
            .acquire()
            .unwrap_err();
        assert!(busy.holder().unwrap().this_process, "{busy}");
        assert!(
            busy.to_string().contains("by this process itself"),
            "{busy}"
        );
        drop(guard);
        pglock::advisory("self")
            .using(&here)
            .acquire()
            .unwrap()
            .release()
            .unwrap();
    });
    calls.finish(2 * BOUND);
}

#[test]
fn a_refused_connection_is_connect_and_comes_at_once() {
    let nowhere = Database::builder("postgres://app@127.0.0.1:1/app")
        .build()
        .unwrap();
    let began = Instant::now();
    let error = pglock::advisory("x")
        .using(&nowhere)
        .timeout(Duration::from_secs(30))
        .acquire()
        .unwrap_err();
    assert!(
        error.is_connect() && error.to_string().contains("nothing listens"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    let error = pglock::advisory("x")
        .using(&nowhere)
        .try_run(|| Ok::<_, pglock::Error>(()))
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_connect() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://app@{}/app?connect_timeout=1",
        silent.local_addr().unwrap()
    );
    let database = Database::builder(url).build().unwrap();
    let began = Instant::now();
    let error = pglock::advisory("x")
        .using(&database)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_unreachable_database_is_connect_for_those_who_wait_behind_others_too() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://app@{}/app?connect_timeout=2",
        silent.local_addr().unwrap()
    );
    let database = Database::builder(url).build().unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let lock = pglock::advisory("behind").using(&database);
                    lock.timeout(Duration::from_millis(300)).try_acquire()
                })
            })
            .collect();
        for caller in callers {
            let error = caller.join().unwrap().unwrap_err();
            assert!(error.is_connect(), "{error}");
        }
    });
}

#[test]
fn wrong_options_are_config_and_nothing_is_asked() {
    let db = database();
    let here = handle(&db);
    assert!(
        pglock::advisory("")
            .using(&here)
            .acquire()
            .unwrap_err()
            .is_config()
    );
    let long = Duration::from_secs(60 * 60 * 24 * 30);
    assert!(
        pglock::advisory("x")
            .using(&here)
            .timeout(long)
            .acquire()
            .unwrap_err()
            .is_config()
    );
    assert!(
        pglock::advisory("x")
            .using("nobody")
            .acquire()
            .unwrap_err()
            .is_config()
    );
    assert!(db.backends_named(OWN).is_empty());
}

#[test]
fn a_holder_without_a_name_is_known_by_its_program_and_host() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("named").using(&here).acquire().unwrap();
    let lock = pglock::advisory("named").using(another_handle(&db));
    let busy = lock.timeout(Duration::ZERO).acquire().unwrap_err();
    let name = &busy.holder().unwrap().application_name;
    // The binary of these tests is called `advisory-` and a hash.
    assert!(name.starts_with("pglock: advisory-"), "{name}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let (_, shown) = name.split_once('@').expect("a host");
    assert!(host.trim().contains(shown) && !shown.is_empty(), "{name}");
    guard.release().unwrap();
}

#[test]
fn timeouts_of_role_and_database_do_not_end_a_lock() {
    let db = database();
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        db.execute(&format!(
            "ALTER DATABASE {} SET {setting} = '100ms'",
            db.name()
        ));
    }
    let (here, there) = (handle(&db), another_handle(&db));
    let session = pglock::advisory("session").using(&here).acquire().unwrap();
    let xact = pglock::advisory("xact")
        .using(&here)
        .xact()
        .acquire()
        .unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pglock::advisory("session").using(&there).acquire().unwrap());
        let xact_waiter = scope.spawn(|| {
            pglock::advisory("xact")
                .using(&there)
                .xact()
                .acquire()
                .unwrap()
        });
        db.wait_for_waiters(2);
        // The time itself is what is tested: each of the settings would have struck by then.
        std::thread::sleep(Duration::from_millis(400));
        session.release().unwrap();
        xact.release().unwrap();
        waiter.join().unwrap().release().unwrap();
        xact_waiter.join().unwrap().release().unwrap();
    });
    db.wait_for_no_locks();
}

#[test]
fn opposite_order_ends_as_a_deadlock_for_one() {
    let db = database();
    let here = handle(&db);
    let nested = |first: &'static str, second: &'static str| {
        let here = here.clone();
        background("both calls end", move || {
            pglock::advisory(first).using(&here).run(|| {
                // Both hold their first before either asks for its second.
                wait_until("both hold their first", BOUND, || {
                    db_holds(&here, "one") && db_holds(&here, "two")
                });
                pglock::advisory(second)
                    .using(&here)
                    .run(|| Ok::<_, pglock::Error>(()))
            })
        })
    };
    let began = Instant::now();
    let results = [nested("one", "two"), nested("two", "one")].map(|call| call.finish(2 * BOUND));
    let deadlocks = results
        .iter()
        .filter(|result| result.as_ref().is_err_and(pglock::Error::is_deadlock))
        .count();
    assert_eq!(deadlocks, 1, "{results:?}");
    assert!(results.iter().any(Result::is_ok), "{results:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    db.wait_for_no_locks();
}

fn db_holds(database: &Database, lock: &'static str) -> bool {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                pglock::advisory(lock)
                    .using(database)
                    .try_acquire()
                    .unwrap()
                    .is_none()
            })
            .join()
            .unwrap()
    })
}

#[test]
fn since_when_a_lock_is_held_is_known_after_heartbeats_too() {
    let db = database();
    let beats = Database::builder(db.url())
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    let other = Database::builder(db.url())
        .application_name("other")
        .build()
        .unwrap();
    for id in [LockId::from("since"), (-1, 2).into(), (-3).into()] {
        let lock = pglock::advisory(id);
        let holder_now = || {
            let error = lock
                .clone()
                .using(&other)
                .timeout(Duration::ZERO)
                .acquire()
                .unwrap_err();
            (error.holder().unwrap().clone(), error.to_string())
        };
        let guard = lock.clone().using(&beats).acquire().unwrap();
        // Soon after it was acquired, its session says so, and again in each heartbeat.
        wait_until("it is known", BOUND, || holder_now().0.since.is_some());
        let (before, _) = holder_now();
        wait_until("a heartbeat", BOUND, || {
            holder_now().0.query != before.query
        });
        let (after, text) = holder_now();
        let (since, still) = (before.since.unwrap(), after.since.unwrap());
        let apart = still
            .duration_since(since)
            .unwrap_or_else(|earlier| earlier.duration());
        assert!(apart < Duration::from_millis(200), "{apart:?}");
        assert!(after.held_for.unwrap() >= Duration::from_millis(200));
        assert!(text.contains(": held for "), "{text}");
        guard.release().unwrap();
    }
}

#[test]
fn a_skip_whose_timeout_is_none_at_run_time_is_refused() {
    use pglock::Error;

    type Limit = Option<Duration>;

    #[pglock::advisory("skip", using = here, timeout = limit, side_effect = Skip)]
    fn skip(here: &Database, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[pglock::advisory("skip", using = here, timeout = limit, side_effect = Skip(Ok(0)))]
    async fn skip_async(here: &Database, limit: Limit) -> Result<u32, Error> {
        Ok(1)
    }

    #[pglock::advisory("skip", client = client, timeout = limit, side_effect = Skip)]
    fn skip_on(client: &mut postgres::Client, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[pglock::advisory("skip", xact, client = tx, timeout = limit, side_effect = Skip)]
    fn skip_in(tx: &mut postgres::Transaction<'_>, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[track_caller]
    fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>) {
        let error = result.expect_err("it would wait without end");
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("never skip"), "{error}");
    }

    let db = database();
    let here = handle(&db);
    let mut client = db.connect();
    let short = Some(Duration::from_millis(1));
    // Also while the lock is free, or the mistake would show late.
    is_refused(skip(&here, None));
    is_refused(pollster::block_on(skip_async(&here, None)));
    is_refused(skip_on(&mut client, None));
    is_refused(skip_in(&mut client.transaction().unwrap(), None));
    assert_eq!(skip(&here, short).unwrap(), Some(1));
    assert_eq!(skip_on(&mut client, short).unwrap(), Some(1));
    let lock = || pglock::advisory("skip").using(&here).timeout(None);
    is_refused(lock().try_acquire());
    is_refused(pollster::block_on(lock().try_acquire_async()));
    is_refused(lock().try_run(|| Ok::<_, Error>(())));
    is_refused(pollster::block_on(
        lock().try_run_async(async { Ok::<_, Error>(()) }),
    ));
    is_refused(lock().on(&mut client).try_acquire().map(drop));
    let mut tx = client.transaction().unwrap();
    is_refused(lock().try_acquire_xact(&mut tx));
    is_refused(pglock::table("pg_class").timeout(None).try_lock(&mut tx));
}

/// A guard is a value, which may be anywhere by now.
#[test]
fn whether_a_wait_is_for_oneself_is_decided_by_where_the_guard_is() {
    let db = database();
    let here = handle(&db);
    let calls = background("the calls return", move || {
        let lock = |name: &'static str| pglock::advisory(name).using(&here);
        // Acquired here, and freed by another thread.
        let guard = lock("moved away").acquire().unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            guard.release().unwrap();
        });
        lock("moved away").acquire().unwrap().release().unwrap();
        other.join().unwrap();
        // Acquired here, by the async door.
        let guard = pollster::block_on(lock("async").acquire_async()).unwrap();
        let error = lock("async").acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("this thread"), "{error}");
        guard.release().unwrap();
        // Acquired elsewhere, and used here.
        let acquired = lock("moved here");
        let guard = std::thread::spawn(move || acquired.acquire().unwrap());
        let guard = guard.join().unwrap();
        guard.check().unwrap();
        let error = lock("moved here").acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        drop(guard);
        // Acquired here, and used elsewhere: it may be there for as long as it likes.
        let guard = lock("in use").acquire().unwrap();
        let (used, is_used) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            guard.check().unwrap();
            used.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(4));
            guard.release().unwrap();
        });
        is_used.recv_timeout(BOUND).unwrap();
        lock("in use").acquire().unwrap().release().unwrap();
        other.join().unwrap();
    });
    calls.finish(3 * BOUND);
}
