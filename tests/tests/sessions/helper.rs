//! Nobody but an established session accuses the network of silence.

use std::thread;
use std::time::Duration;

use pglock::{Database, Error};
use pglock_tests::{
    BOUND, Background, Proxy, Signal, TestDb, background, signal_backend, wait_until,
};

use crate::{SERVER, hold};

/// A heartbeat that makes five eighths of a second without an answer a silence.
fn impatient(url: &str) -> Database {
    let builder = Database::builder(url);
    builder.heartbeat(Duration::from_secs(1)).build().unwrap()
}

/// A call of `outer` whose inner call waits for `inner`, which somebody else holds.
fn nested(here: &Database) -> Background<Result<(), Error>> {
    let here = here.clone();
    background("the outer call ends", move || {
        let lock = |name| pglock::advisory(name).using(&here);
        lock("outer").run(|| {
            lock("inner").run(|| Ok::<_, Error>(()))?;
            pglock::check()
        })
    })
}

#[test]
fn logins_that_are_slow_take_no_lock_from_those_who_wait() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = impatient(&proxy.url(db.name()));
    let release = hold(&db, "inner");
    let outer = nested(&here);
    db.wait_for_waiters(1);
    proxy.delay_connections(Duration::from_secs(3));
    // What is measured is that it is held all this time, in which one more session is asked for and comes late.
    thread::sleep(Duration::from_secs(5));
    assert_eq!(db.held(pglock::advisory_id("outer")), 1);
    release();
    outer.finish(BOUND).unwrap();
}

/// The backend of the helper session, once it has been asked something.
fn helper_of(db: &TestDb) -> i32 {
    let mut client = db.connect();
    let asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name LIKE 'pglock: %@%' AND (query = '' OR query LIKE '%virtualxid%') AND query_start IS NOT NULL";
    let mut helper = None;
    wait_until("a helper session is asked", BOUND, || {
        helper = client.query_opt(asked, &[]).unwrap();
        helper.is_some()
    });
    helper.unwrap().get(0)
}

#[test]
fn a_helper_session_that_is_stuck_accuses_nobody_while_others_are_answered() {
    let db = SERVER.create_database();
    let here = impatient(db.url());
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    let release = hold(&db, "inner");
    let outer = nested(&here);
    db.wait_for_waiters(1);
    let helper = helper_of(&db);
    signal_backend(helper, Signal::STOP);
    // What is measured is that nothing is lost in this time, in which the helper session does not answer.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(db.waiting(pglock::advisory_id("inner")), 1);
    signal_backend(helper, Signal::CONT);
    release();
    outer.finish(BOUND).unwrap();
    guard.release().unwrap();
}

/// A proxy that hangs: only what is asked on an established session finds that.
#[test]
fn a_wait_that_begins_in_a_silence_is_given_up_too() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = impatient(&proxy.url(db.name()));
    let _release = hold(&db, "other");
    let wait = |name| {
        let lock = pglock::advisory(name).using(&here);
        background("the waiter hears of it", move || lock.acquire())
    };
    let first = wait("other");
    db.wait_for_waiters(1);
    // Its session is idle when the silence begins.
    let idle = pglock::advisory("idle").using(&here).acquire().unwrap();
    idle.release().unwrap();
    helper_of(&db);
    proxy.stop_forwarding();
    let error = first.finish(BOUND).unwrap_err();
    assert!(error.is_connect(), "{error}");
    let error = wait("later").finish(BOUND).unwrap_err();
    assert!(error.is_connect(), "{error}");
}
