//! Calls inside calls through several handles of one server: these share no sessions, and a deadlock of their locks is found
//! all the same.

use std::sync::{Arc, Barrier};

use pglock::{Advisory, Database, Error};
use pglock_tests::{BOUND, Background, TestDb, background, database, server, wait_until};

type Outcome = Result<(), Error>;

fn handle(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

/// A call that holds one lock, and asks for another when `all` hold theirs.
fn nested(outer: Advisory, inner: Advisory, all: &Arc<Barrier>) -> Background<Outcome> {
    let all = Arc::clone(all);
    background("the calls end", move || {
        outer.run(|| {
            all.wait();
            inner.run(|| Ok(()))
        })
    })
}

fn lock(id: i64, handle: &Database) -> Advisory {
    pglock::advisory(id).using(handle)
}

fn assert_one_gives_up(outcomes: &[Outcome]) {
    let deadlocks = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_err_and(Error::is_deadlock));
    assert_eq!(deadlocks.count(), 1, "{outcomes:?}");
    let ok = outcomes.iter().filter(|outcome| outcome.is_ok());
    assert_eq!(ok.count(), outcomes.len() - 1, "{outcomes:?}");
}

#[test]
fn a_lock_inside_itself_ends_with_the_error() {
    let db = database();
    let (one, two) = (handle(&db, "one"), handle(&db, "two"));
    let alone = Arc::new(Barrier::new(1));
    let outcome = nested(lock(1, &one), lock(1, &two), &alone).finish(2 * BOUND);
    let error = outcome.unwrap_err();
    assert!(error.is_deadlock(), "{error}");
    db.wait_for_no_locks();
}

#[test]
fn opposite_order_ends_for_one() {
    let db = database();
    let (one, two) = (handle(&db, "one"), handle(&db, "two"));
    let both = Arc::new(Barrier::new(2));
    let calls = [
        nested(lock(1, &one), lock(2, &two), &both),
        nested(lock(2, &one), lock(1, &two), &both),
    ];
    assert_one_gives_up(&calls.map(|call| call.finish(2 * BOUND)));
    db.wait_for_no_locks();
}

#[test]
fn opposite_order_in_two_databases_ends_for_one() {
    let (db, other_db) = (database(), server().create_database());
    let (one, two) = (handle(&db, "one"), handle(&other_db, "two"));
    let both = Arc::new(Barrier::new(2));
    let calls = [
        nested(lock(1, &one), lock(2, &two), &both),
        nested(lock(2, &two), lock(1, &one), &both),
    ];
    assert_one_gives_up(&calls.map(|call| call.finish(2 * BOUND)));
    db.wait_for_no_locks();
    other_db.wait_for_no_locks();
}

/// One of the calls waits in its own process, where the server sees nothing of it.
#[test]
fn a_ring_through_a_queue_of_the_process_ends_for_one() {
    let db = database();
    let [one, two, elsewhere] = ["one", "two", "elsewhere"].map(|name| handle(&db, name));
    let all = Arc::new(Barrier::new(3));
    let calls = [
        nested(lock(1, &one), lock(2, &two), &all),
        nested(lock(2, &two), lock(3, &one), &all),
        nested(lock(3, &elsewhere), lock(1, &elsewhere), &all),
    ];
    assert_one_gives_up(&calls.map(|call| call.finish(2 * BOUND)));
    db.wait_for_no_locks();
}

#[test]
fn a_wait_that_is_no_ring_goes_on() {
    let db = database();
    let [one, two, other] = ["one", "two", "other"].map(|name| handle(&db, name));
    let held = lock(2, &other).acquire().unwrap();
    let alone = Arc::new(Barrier::new(1));
    let call = nested(lock(1, &one), lock(2, &two), &alone);
    wait_until("the wait is marked", BOUND, || {
        let locks = db.advisory_locks();
        locks.iter().any(|lock| lock.mode == "ShareLock")
    });
    held.release().unwrap();
    call.finish(BOUND).unwrap();
    db.wait_for_no_locks();
}
