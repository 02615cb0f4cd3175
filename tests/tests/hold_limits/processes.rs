//! The end of a process with locks that it keeps, as others see it.

use std::time::Instant;

use pglock_tests::child::{self, Child};

use super::*;

/// In a child: leaves a lock behind, and says so.
fn leave_behind(limit: Duration) {
    let here = Database::builder(child::argument("URL")).build().unwrap();
    let lock = pglock::advisory("job").using(&here).hold_at_least(limit);
    lock.run(|| {
        child::say("has");
        Ok::<_, Error>(())
    })
    .unwrap();
    child::say("returned");
}

fn start(db: &TestDb, test: &str) -> Child {
    let test = format!("processes::{test}");
    let mut child = Child::of(&test, "job").argument("URL", db.url()).start();
    child.wait_for_line("returned", BOUND);
    child
}

#[test]
fn one_that_ends_frees_early() {
    if child::role().is_some() {
        leave_behind(LONG);
        return child::wait_for_end();
    }
    let db = database();
    let mut child = start(&db, "one_that_ends_frees_early");
    assert!(held(&db, "job"));
    child.finish(BOUND);
    db.wait_for_no_locks();
}

#[test]
fn one_that_is_killed_frees_early() {
    if child::role().is_some() {
        leave_behind(LONG);
        return child::wait_for_end();
    }
    let db = database();
    let mut child = start(&db, "one_that_is_killed_frees_early");
    assert!(held(&db, "job"));
    child.kill();
    db.wait_for_no_locks();
}

#[test]
fn one_that_drains_ends_after_the_release() {
    if child::role().is_some() {
        pglock::drain(); // nothing to wait for, and nobody to ask
        leave_behind(SHORT);
        let here = Database::builder(child::argument("URL")).build().unwrap();
        let lock = |name| pglock::advisory(name).using(&here);
        drop(lock("dropped").hold_at_least(SHORT / 2).acquire().unwrap());
        let guard = lock("guard").acquire().unwrap();
        pglock::drain();
        child::say("drained");
        assert_eq!(child::hear().as_deref(), Some("go on"));
        drop(guard);
        pollster::block_on(pglock::drain_async());
        leave_behind(SHORT / 10);
        pollster::block_on(pglock::drain_async());
        child::say("drained");
        // Nobody waits for the answer to this release, and it is known at once all the same.
        drop(lock("dropped").hold_at_least(SHORT).acquire().unwrap());
        pglock::drain();
        child::say("drained");
        return child::wait_for_end();
    }
    let db = database();
    let before = Instant::now();
    let mut child = start(&db, "one_that_drains_ends_after_the_release");
    assert!(held(&db, "job"));
    assert!(before.elapsed() < SHORT, "this machine is too slow");
    child.wait_for_line("drained", SHORT + BOUND);
    assert!(before.elapsed() >= SHORT);
    // At once, and nobody's guard is waited for.
    assert!(!held(&db, "job") && !held(&db, "dropped"));
    assert!(held(&db, "guard"));
    child.send_line("go on");
    child.wait_for_line("drained", BOUND);
    assert!(!held(&db, "job"));
    child.wait_for_line("drained", SHORT + BOUND);
    assert!(!held(&db, "dropped"));
    child.finish(BOUND);
}

#[test]
fn one_that_drains_does_not_wait_for_what_was_lost() {
    if child::role().is_some() {
        leave_behind(LONG);
        pglock::drain();
        child::say("drained");
        return child::wait_for_end();
    }
    let db = database();
    let mut child = start(&db, "one_that_drains_does_not_wait_for_what_was_lost");
    kill_holder(&db);
    child.wait_for_line("drained", BOUND);
    child.finish(BOUND);
}

#[test]
fn another_process_skips_meanwhile() {
    if child::role().is_some() {
        leave_behind(LONG);
        return child::wait_for_end();
    }
    let db = database();
    let mut child = start(&db, "another_process_skips_meanwhile");
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    assert!(lock().try_run(|| Ok::<_, Error>(())).unwrap().is_none());
    let busy = lock().timeout(Duration::ZERO).acquire().unwrap_err();
    assert!(busy.is_busy() && !busy.holder().unwrap().this_process);
    child.kill();
    lock().timeout(BOUND).run(|| Ok::<_, Error>(())).unwrap();
}
