//! A lost lock is never silent, and is never taken for a busy one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{
    BOUND, Server, Signal, TestDb, apart, background, database, signal_backend, wait_until,
};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// A handle that shares no session with [`handle`]: what one holds, the other waits for in the server.
fn another_handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("another handle");
    builder.build().unwrap()
}

/// Kills the backend that holds the only lock.
fn kill_holder(db: &TestDb) {
    let locks = db.advisory_locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    db.terminate(locks[0].pid);
}

#[test]
fn who_waits_for_the_loss_of_a_guard_is_told_within_a_second() {
    let db = database();
    let guard = pglock::advisory("killed").using(handle(&db)).acquire();
    let guard = Arc::new(guard.unwrap());
    let told = background("it is told", {
        let guard = Arc::clone(&guard);
        move || pollster::block_on(guard.lost_async())
    });
    kill_holder(&db);
    let error = told.finish(Duration::from_secs(1));
    assert!(error.is_lost(), "{error}");
    assert_eq!(error.to_string(), guard.check().unwrap_err().to_string());
}

#[test]
fn an_async_body_is_dropped_within_a_second() {
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    let db = database();
    let here = handle(&db);
    let is_dropped = Arc::<AtomicBool>::default();
    let dropped = Dropped(Arc::clone(&is_dropped));
    let call = background("the call ends", move || {
        let lock = pglock::advisory("killed").using(&here);
        pollster::block_on(lock.run_async(async move {
            let _dropped = dropped;
            std::future::pending::<Result<(), Error>>().await
        }))
    });
    wait_until("the body has its lock", BOUND, || {
        db.held(pglock::advisory_id("killed")) == 1
    });
    kill_holder(&db);
    let error = call.finish(Duration::from_secs(1)).unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(!error.body_finished());
    assert!(is_dropped.load(Ordering::Acquire));
    assert!(
        error.to_string().contains("terminating connection"),
        "{error}"
    );
}

/// Whoever has asked something just then: the server's last words are the answer to that.
#[test]
fn the_words_of_the_server_are_told_whatever_is_under_way() {
    for _ in 0..10 {
        let db = database();
        let here = handle(&db);
        let guard = pglock::advisory("killed").using(&here).acquire().unwrap();
        let pid = db.advisory_locks()[0].pid;
        signal_backend(pid, Signal::STOP);
        let (asks, asked) = mpsc::channel();
        let asking = background("it is answered", move || {
            asks.send(()).unwrap();
            pglock::advisory("asked").using(&here).acquire().map(drop)
        });
        asked.recv_timeout(BOUND).unwrap();
        db.execute(&format!("SELECT pg_terminate_backend({pid})"));
        signal_backend(pid, Signal::CONT);
        wait_until("the loss is known", BOUND, || guard.check().is_err());
        let error = guard.release().unwrap_err();
        assert!(
            error.to_string().contains("terminating connection"),
            "{error}"
        );
        asking.finish(BOUND).unwrap();
    }
}

#[test]
fn a_blocking_body_learns_at_check_and_at_the_end() {
    #[pglock::advisory("killed", using = here)]
    fn job(db: &TestDb, here: &Database) -> Result<(), Error> {
        pglock::check()?;
        kill_holder(db);
        wait_until("check says so", Duration::from_secs(1), || {
            pglock::check().is_err_and(|error| error.is_lost() && !error.body_finished())
        });
        Ok(())
    }

    let db = database();
    let error = job(&db, &handle(&db)).unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(error.body_finished());
    assert!(error.to_string().contains("retry"), "{error}");
}

#[test]
fn the_end_tells_even_when_nobody_asked() {
    let db = database();
    let here = handle(&db);
    let body = || {
        kill_holder(&db);
        Ok::<_, Error>(())
    };
    let lock = || pglock::advisory("killed").using(&here);
    let told = [
        lock().run(body),
        lock().xact().run(body),
        pollster::block_on(lock().run_async(async { body() })),
        pollster::block_on(lock().xact().run_async(async { body() })),
    ];
    for result in told {
        let error = result.unwrap_err();
        assert!(error.is_lost() && error.body_finished(), "{error}");
    }
}

#[tokio::test]
async fn the_end_tells_of_a_loss_on_a_client_too() {
    #[pglock::advisory("client", client = client)]
    fn job(client: &mut postgres::Client) -> Result<(), Error> {
        client
            .batch_execute("SELECT pg_advisory_unlock_all()")
            .unwrap();
        Ok(())
    }

    #[pglock::advisory("client", client = client)]
    async fn job_async(client: &mut tokio_postgres::Client) -> Result<(), Error> {
        client
            .batch_execute("SELECT pg_advisory_unlock_all()")
            .await
            .unwrap();
        Ok(())
    }

    let db = database();
    let told = apart(|| job(&mut db.connect()));
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for result in [told, job_async(&mut client).await] {
        let error = result.unwrap_err();
        assert!(error.is_lost() && error.body_finished(), "{error}");
    }
}

#[test]
fn a_call_inside_a_call_does_not_re_enter_what_was_lost() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("killed").using(&here);
    let outer = lock().run(|| {
        kill_holder(&db);
        wait_until("check says so", Duration::from_secs(1), || {
            pglock::check().is_err()
        });
        lock().run(|| -> Result<(), Error> { panic!("it is not held") })
    });
    assert!(outer.unwrap_err().is_lost());
}

#[test]
fn a_release_that_finds_nothing_is_lost() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("gone").using(&here).acquire().unwrap();
    kill_holder(&db);
    wait_until("the guard knows", Duration::from_secs(1), || {
        guard.check().is_err()
    });
    assert!(guard.check().unwrap_err().is_lost());
    assert!(guard.release().unwrap_err().is_lost());
    // The pool has forgotten the session.
    pglock::advisory("gone")
        .using(&here)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
}

/// Not refused as waiting for itself, though the guard or the call that had it is still there.
#[test]
fn a_lost_lock_can_be_acquired_again_on_the_same_thread() {
    let db = database();
    let here = handle(&db);
    let again = || pglock::advisory("again").using(&here).acquire()?.release();
    let guard = pglock::advisory("again").using(&here).acquire().unwrap();
    assert!(again().unwrap_err().is_config());
    assert!(guard.backend_pid().is_some());
    kill_holder(&db);
    wait_until("the guard knows", BOUND, || guard.check().is_err());
    assert_eq!(guard.backend_pid(), None, "a pid that may be another's");
    again().unwrap();
    assert!(guard.release().unwrap_err().is_lost());

    let call = pglock::advisory("again").using(&here).run(|| {
        assert!(again().unwrap_err().is_config());
        kill_holder(&db);
        wait_until("check says so", BOUND, || pglock::check().is_err());
        again()
    });
    let error = call.unwrap_err();
    assert!(error.is_lost() && error.body_finished(), "{error}");
}

#[test]
fn the_bodys_error_wins_over_the_loss() {
    #[derive(Debug)]
    enum JobError {
        Pglock(Error),
        Broken,
    }

    impl From<Error> for JobError {
        fn from(error: Error) -> Self {
            Self::Pglock(error)
        }
    }

    let db = database();
    let here = handle(&db);
    let result = pglock::advisory("both").using(&here).run(|| {
        kill_holder(&db);
        Err::<(), _>(JobError::Broken)
    });
    assert!(matches!(result, Err(JobError::Broken)), "{result:?}");
    let result = pglock::advisory("both").using(&here).run(|| {
        kill_holder(&db);
        Ok::<_, JobError>(())
    });
    assert!(matches!(result, Err(JobError::Pglock(error)) if error.is_lost()));
}

#[test]
fn a_panic_in_the_body_releases() {
    let db = database();
    let here = handle(&db);
    for round in 0..3 {
        let panics = || -> Result<(), Error> { panic!("round {round}") };
        let panicked = std::panic::catch_unwind(|| match round {
            0 => pglock::advisory("panic").using(&here).run(panics),
            1 => pollster::block_on(
                pglock::advisory("panic")
                    .using(&here)
                    .run_async(async { panics() }),
            ),
            _ => pglock::advisory("panic").using(&here).xact().run(panics),
        });
        assert!(panicked.is_err());
        db.wait_for_no_locks();
        assert!(pglock::check().unwrap_err().is_config(), "the call is over");
    }
}

#[test]
fn a_panic_with_a_client_releases() {
    #[pglock::advisory("panic", client = client)]
    fn job(client: &mut postgres::Client) -> Result<(), Error> {
        client.batch_execute("BEGIN; SELECT 1").unwrap();
        panic!("in the body")
    }

    let db = database();
    let mut client = db.connect();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut client))).is_err());
    assert!(db.advisory_locks().is_empty());
    client.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_wait_whose_session_dies_goes_on_on_another_one() {
    let db = database();
    let here = handle(&db);
    let mut holder = db.connect();
    let held = pglock::advisory("waits").on(&mut holder).acquire().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pglock::advisory("waits").using(&here).acquire());
        let first = pid_that_waits(&db);
        db.terminate(first);
        wait_until("another session waits", BOUND, || {
            let locks = db.advisory_locks();
            locks.iter().any(|lock| !lock.granted && lock.pid != first)
        });
        held.release().unwrap();
        waiter.join().unwrap().unwrap().release().unwrap();
    });
    db.wait_for_no_locks();
}

#[test]
fn a_wait_on_a_session_of_its_own_that_dies_is_connect() {
    let db = database();
    let here = handle(&db);
    let mut holder = db.connect();
    let _held = pglock::advisory("waits").on(&mut holder).acquire().unwrap();
    std::thread::scope(|scope| {
        let lock = pglock::advisory("waits").using(&here).xact();
        let waiter = scope.spawn(|| lock.acquire());
        db.terminate(pid_that_waits(&db));
        let error = waiter.join().unwrap().unwrap_err();
        assert!(error.is_connect(), "{error}");
    });
}

/// The backend of the only session that waits for a lock, once there is one.
fn pid_that_waits(db: &TestDb) -> i32 {
    db.wait_for_waiters(1);
    let locks = db.advisory_locks();
    locks.iter().find(|lock| !lock.granted).unwrap().pid
}

#[test]
fn a_server_restart_between_two_calls_is_survived() {
    let server = Server::start();
    let db = server.create_database();
    let here = handle(&db);
    let call = || {
        pglock::advisory("restart")
            .using(&here)
            .run(|| Ok::<_, Error>(()))
    };
    call().unwrap();
    server.restart();
    call().unwrap();
    server.kill();
    let error = call().unwrap_err();
    assert!(error.is_connect(), "{error}");
    server.start_again();
    call().unwrap();
}

#[test]
fn a_server_crash_is_lost_for_holders_and_connect_for_waiters() {
    let server = Server::start();
    let db = server.create_database();
    let here = handle(&db);
    let guard = pglock::advisory("crash")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pglock::advisory("crash").using(&here).acquire());
        db.wait_for_waiters(1);
        server.kill();
        assert!(waiter.join().unwrap().unwrap_err().is_connect());
    });
    wait_until("the guard knows", BOUND, || guard.check().is_err());
    assert!(guard.release().unwrap_err().is_lost());
}

/// Less than the time in which the end of a session counts as one that it had before, while it was idle.
const AS_IT_BEGINS: Duration = Duration::from_millis(80);

/// It was idle before, so it is replaced at once; the end of the first one is noticed meanwhile.
#[test]
fn a_wait_whose_session_ends_as_it_begins_goes_on_once() {
    let db = database();
    let [here, elsewhere] = ["here", "elsewhere"].map(|name| {
        let builder = Database::builder(db.url()).application_name(name);
        builder.build().unwrap()
    });
    let (mut number, mut late) = (0, 0);
    while number < 6 {
        let wait = |here: &Database| {
            let lock = pglock::advisory("waited for").using(here);
            let here = here.clone();
            background("the wait ends", move || {
                match number % 2 {
                    0 => lock.xact().run(|| Ok::<_, pglock::Error>(())),
                    _ => lock.dedicated().run(|| Ok(())),
                }
                .map(|()| drop(here))
            })
        };
        let key = pglock::advisory_id("waited for");
        let held = pglock::advisory("waited for")
            .using(&elsewhere)
            .acquire()
            .unwrap();
        // The session of this wait is idle afterwards.
        let first = wait(&here);
        wait_until("it is waited for", BOUND, || db.waiting(key) == 1);
        held.release().unwrap();
        first.finish(BOUND).unwrap();
        let held = pglock::advisory("waited for")
            .using(&elsewhere)
            .acquire()
            .unwrap();
        let began = Instant::now();
        let second = wait(&here);
        wait_until("it is waited for again", BOUND, || db.waiting(key) == 1);
        let locks = db.advisory_locks();
        let waiter = locks.iter().find(|lock| !lock.granted).unwrap();
        db.terminate(waiter.pid);
        if began.elapsed() > AS_IT_BEGINS {
            // On a busy machine: it may have failed by then, since it waited for a while.
            held.release().unwrap();
            let _ = second.finish(BOUND);
            db.wait_for_no_locks();
            late += 1;
            assert!(late < 60, "this machine is too busy");
            continue;
        }
        wait_until("it is waited for on another session", BOUND, || {
            db.waiting(key) == 1
        });
        held.release().unwrap();
        second.finish(BOUND).unwrap();
        db.wait_for_no_locks();
        number += 1;
    }
}
