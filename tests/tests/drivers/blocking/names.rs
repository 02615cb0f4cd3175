//! Statements name the lock that they wait for, or have acquired.

use std::time::Duration;

use pglock_tests::{TestDb, database};

use super::driver::Driver;
use super::on_every_driver;

on_every_driver! {
    holders_and_waiters_name_their_lock
    so_do_they_in_a_transaction
    since_when_it_is_held_is_known_by_that_name
    a_name_may_contain_anything
}

const TIMEOUTS: [Option<Duration>; 3] = [None, Some(Duration::from_secs(60)), Some(Duration::ZERO)];

fn says(db: &TestDb, pid: i32, comment: &str) {
    let statement = db.statement_of(pid);
    assert!(statement.starts_with(comment), "{statement}");
}

/// Those that wait for a lock.
fn waiters(db: &TestDb) -> Vec<i32> {
    db.wait_for_waiters(1);
    let locks = db.advisory_locks();
    locks
        .iter()
        .filter(|lock| !lock.granted)
        .map(|lock| lock.pid)
        .collect()
}

fn holders_and_waiters_name_their_lock<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    let pid = holder.pid();
    for (timeout, (id, comment)) in TIMEOUTS.into_iter().zip([
        ("nightly-report".into(), "/* pglock: \"nightly-report\" */"),
        (pglock::LockId::Key(-42), "/* pglock: -42 */"),
        (pglock::LockId::Pair(1, -2), "/* pglock: (1, -2) */"),
    ]) {
        let held = pglock::advisory(id.clone()).timeout(timeout);
        let held = held.on(holder.connection()).acquire().unwrap();
        says(&db, pid, comment);
        std::thread::scope(|scope| {
            let waits = pglock::advisory(id).shared();
            let waiter = scope.spawn(|| waits.on(driver.connection()).acquire()?.release());
            for pid in waiters(&db) {
                says(&db, pid, comment);
            }
            held.release().unwrap();
            waiter.join().unwrap().unwrap();
        });
    }
}

fn so_do_they_in_a_transaction<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    let pid = holder.pid();
    let comment = "/* pglock: \"nightly-report\" */";
    for timeout in TIMEOUTS {
        let lock = pglock::advisory("nightly-report").timeout(timeout);
        std::thread::scope(|scope| {
            let waiter = holder.transaction(|tx| {
                lock.acquire_xact(tx).unwrap();
                says(&db, pid, comment);
                let waiter = scope.spawn(|| {
                    let lock = pglock::advisory("nightly-report");
                    driver.transaction(|tx| lock.acquire_xact(tx))
                });
                for pid in waiters(&db) {
                    says(&db, pid, comment);
                }
                waiter
            });
            waiter.join().unwrap().unwrap();
        });
    }
}

fn since_when_it_is_held_is_known_by_that_name<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    for timeout in TIMEOUTS {
        let held = pglock::advisory("nightly-report").timeout(timeout);
        let _held = held.on(holder.connection()).acquire().unwrap();
        let busy = pglock::advisory("nightly-report").timeout(Duration::ZERO);
        let error = busy.on(driver.connection()).acquire().unwrap_err();
        let holder = error.holder().unwrap();
        assert_eq!(holder.lock_name.as_deref(), Some("nightly-report"));
        assert!(holder.since.is_some() && holder.held_for.is_some());
    }
}

fn a_name_may_contain_anything<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let pid = driver.pid();
    let names = [
        "*/ SELECT 1 / 0; --",
        "/* it's; \"quoted\" $1 :name ? \\ % {}",
        "a\nb\0c\u{1b}",
        "日本語 größe",
        "$pglock$ */; ",
        &"long ".repeat(500),
    ];
    for name in names {
        for timeout in TIMEOUTS {
            let lock = pglock::advisory(name).timeout(timeout);
            let held = lock.clone().on(driver.connection()).acquire().unwrap();
            assert_eq!(db.held(pglock::advisory_id(name)), 1, "{name}");
            says(&db, pid, "/* pglock: \"");
            held.release().unwrap();
            driver.transaction(|tx| {
                lock.acquire_xact(tx).unwrap();
                assert_eq!(db.held(pglock::advisory_id(name)), 1, "{name}");
            });
            assert_eq!(db.advisory_locks(), []);
        }
    }
}
