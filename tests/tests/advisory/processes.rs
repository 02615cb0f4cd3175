//! Other processes hold, wait, and are killed.

use std::time::{Duration, Instant};

use pglock::{Database, ErrorKind};
use pglock_tests::{BOUND, Child, child, database, wait_until};

use crate::{handle, held_elsewhere, hold_in_this_process};

#[test]
fn another_process_excludes_and_is_named() {
    if let Some(role) = child::role() {
        return hold_in_this_process(&role);
    }
    let db = database();
    let here = handle(&db);
    let mut other = held_elsewhere(
        &db,
        "processes::another_process_excludes_and_is_named",
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
fn a_waiter_gets_it_when_the_holder_is_killed() {
    if let Some(role) = child::role() {
        return hold_in_this_process(&role);
    }
    let db = database();
    let here = handle(&db);
    let mut other = held_elsewhere(
        &db,
        "processes::a_waiter_gets_it_when_the_holder_is_killed",
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
        let mut waiter = Child::of("processes::a_killed_waiter_leaves_the_queue", role)
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
        "processes::shared_holders_share_and_keep_exclusive_out",
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
