//! Deadlocks, and sessions that end.

use std::time::Duration;

use pglock::{Error, ErrorKind};
use pglock_tests::{BOUND, database, wait_until};
use tokio_postgres::error::SqlState;

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    a_deadlock_of_transactions_is_an_error_for_one_of_them
    a_deadlock_of_session_locks_is_an_error_for_one_of_them
    a_session_that_ends_under_a_lock_is_lost
    a_session_that_ends_in_a_wait_is_a_connect_error
    on_a_session_that_has_ended_nothing_is_had
}

fn is_deadlock(error: &Error) -> bool {
    assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}: {error:?}");
    assert_eq!(error.sql_state(), Some(&SqlState::T_R_DEADLOCK_DETECTED));
    true
}

fn a_deadlock_of_transactions_is_an_error_for_one_of_them<D: Driver>() {
    let db = database();
    std::thread::scope(|scope| {
        // Each is closed by a panic of its thread, and the other's wait ends.
        let (mut one, mut other) = (D::connect(&db), D::connect(&db));
        let (thread, here) = one.transaction(|one| {
            pglock::advisory("a").acquire_xact(one).unwrap();
            let thread = scope.spawn(move || {
                other.transaction(|other| {
                    pglock::advisory("b").acquire_xact(other).unwrap();
                    let acquired = pglock::advisory("a").acquire_xact(other);
                    // The transaction can go on, whoever lost.
                    assert_eq!(other.text("1"), "1");
                    acquired.is_err_and(|error| is_deadlock(&error))
                })
            });
            db.wait_for_waiters(1);
            let acquired = pglock::advisory("b").acquire_xact(one);
            assert_eq!(one.text("1"), "1");
            (thread, acquired.is_err_and(|error| is_deadlock(&error)))
        });
        assert_ne!(here, thread.join().unwrap());
    });
    assert_eq!(db.advisory_locks(), []);
}

fn a_deadlock_of_session_locks_is_an_error_for_one_of_them<D: Driver>() {
    let db = database();
    let (mut one, mut other) = (D::connect(&db), D::connect(&db));
    std::thread::scope(|scope| {
        let mut a = pglock::advisory("a")
            .on(one.connection())
            .acquire()
            .unwrap();
        let thread = scope.spawn(|| {
            let mut b = pglock::advisory("b")
                .on(other.connection())
                .acquire()
                .unwrap();
            let acquired = pglock::advisory("a").on(&mut b).acquire().map(drop);
            b.release().unwrap();
            acquired.is_err_and(|error| is_deadlock(&error))
        });
        db.wait_for_waiters(1);
        let acquired = pglock::advisory("b").on(&mut a).acquire().map(drop);
        a.release().unwrap();
        let here = acquired.is_err_and(|error| is_deadlock(&error));
        assert_ne!(here, thread.join().unwrap());
    });
    assert_eq!(db.advisory_locks(), []);
}

fn a_session_that_ends_under_a_lock_is_lost<D: Driver>() {
    let db = database();
    for noticed in [false, true] {
        let mut driver = D::connect(&db);
        let pid = driver.pid();
        let mut locked = pglock::advisory("on")
            .on(driver.connection())
            .acquire()
            .unwrap();
        locked.check().unwrap();
        db.terminate(pid);
        if noticed {
            locked.execute("SELECT 1").unwrap_err();
            let error = locked.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Lost, "{error}: {error:?}");
        }
        let error = locked.release().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost, "{error}: {error:?}");
    }
}

fn a_session_that_ends_in_a_wait_is_a_connect_error<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    let pid = driver.pid();
    std::thread::scope(|scope| {
        let held = pglock::advisory("on").on(holder.connection());
        let held = held.acquire().unwrap();
        let waiter = scope.spawn(|| {
            let lock = pglock::advisory("on").on(driver.connection());
            lock.acquire().unwrap_err()
        });
        wait_until("it waits", BOUND, || db.blocked_pids() == [pid]);
        db.terminate(pid);
        let error = waiter.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
        held.release().unwrap();
    });
    assert_eq!(db.advisory_locks(), []);
}

fn on_a_session_that_has_ended_nothing_is_had<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let pid = driver.pid();
    driver.transaction(|tx| {
        db.terminate(pid);
        for timeout in [Duration::ZERO, Duration::from_secs(1)] {
            let lock = pglock::advisory("xact").timeout(timeout);
            let error = lock.acquire_xact(tx).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
        }
        let error = pglock::table("pg_class").lock(tx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
    });
    let connection = driver.connection();
    for timeout in [Duration::ZERO, Duration::from_secs(1)] {
        let lock = pglock::advisory("on").timeout(timeout).on(connection);
        let error = lock.acquire().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
    }
    let set = pglock::timeout(Duration::from_secs(1))
        .on(connection)
        .map(drop);
    let error = set.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
    let error = pglock::locks().fetch(connection).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}: {error:?}");
}
