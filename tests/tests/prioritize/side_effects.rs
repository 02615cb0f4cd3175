//! Side effects of the user's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pglock::{
    Blocked, BlockedLock, BlockerAction, Error, ErrorKind, PrioritizeSideEffect, Terminate,
};
use pglock_tests::{BOUND, database};

use crate::{Blocker, INTERVAL, pid_of, prioritize};

/// A side effect that is a closure.
pub(crate) struct Do<F>(pub(crate) F);

impl<F> PrioritizeSideEffect for Do<F>
where
    F: Fn(&mut Blocked<'_>) -> Result<Vec<i32>, Error> + Send + Sync + 'static,
{
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        (self.0)(blocked)
    }
}

#[test]
fn it_sees_filters_and_signals_the_blockers() {
    let db = database();
    let one = Blocker::named(&db, "one", "SELECT pg_advisory_lock_shared(1)");
    let other = Blocker::named(&db, "other", "SELECT pg_advisory_lock_shared(1)");
    let (seen, seen_by_it) = mpsc::channel();
    let mut client = db.connect();
    let pid = pid_of(&mut client);
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        let locks: Vec<BlockedLock> = blocked.fetch()?;
        let _ = seen.send((blocked.pids(), locks));
        let mut signaled = blocked
            .filter("blocking_activity__application_name=one")?
            .terminate()?;
        assert!(
            blocked
                .exclude("blocking_activity__application_name=one")?
                .fetch()?
                .is_empty()
        );
        signaled.push(4_000_000);
        Ok(signaled)
    });
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .timeout(10 * INTERVAL)
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    let report = section.finish().unwrap();
    let (pids, locks) = seen_by_it.recv_timeout(BOUND).unwrap();
    assert_eq!(pids, [pid]);
    let mut blocking: Vec<_> = locks.iter().map(|it| it.blocking_activity.pid).collect();
    blocking.sort_unstable();
    let mut expected = [one.pid, other.pid];
    expected.sort_unstable();
    assert_eq!(blocking, expected);
    assert!(
        locks
            .iter()
            .all(|it| it.activity.pid == pid && it.is_advisory(1))
    );

    assert_eq!(report.signaled(), [one.pid, 4_000_000]);
    let of = |pid: i32| {
        let mut of_it = report.blockers().iter().filter(|it| it.pid == pid);
        of_it.next().unwrap().action
    };
    assert_eq!(of(one.pid), BlockerAction::Terminated);
    assert_eq!(of(4_000_000), BlockerAction::Reported);
    one.was_terminated();
    let mut other = other;
    assert!(other.is_alive());
}

#[test]
fn it_may_hand_on_to_one_of_pglocks() {
    let db = database();
    let blocker = Blocker::named(&db, "pg_dump", "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let side_effect = Do(|blocked: &mut Blocked<'_>| {
        let spared = Terminate::new()
            .never_application("pg_dump")
            .worker(blocked)?;
        assert!(spared.is_empty());
        Terminate.worker(blocked)
    });
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
}

#[test]
fn a_panic_reaches_the_end_and_stops_nothing_else() {
    let db = database();
    let _one = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let _other = Blocker::new(&db, "SELECT pg_advisory_lock(2)");
    let calls = AtomicUsize::new(0);
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        assert!(
            calls.fetch_add(1, Ordering::Relaxed) > 0,
            "the pager is away"
        );
        Terminate.worker(blocked)
    });
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    // It is polled again after the panic.
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let error = section.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SideEffect);
    assert!(error.to_string().contains("the pager is away"), "{error}");

    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    section.finish().unwrap();
}

#[test]
fn an_error_reaches_the_end() {
    let db = database();
    let _blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let side_effect = Do(|_: &mut Blocked<'_>| Err(Error::side_effect("the pager is away")));
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .timeout(3 * INTERVAL)
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert!(section.report().unwrap().blockers().is_empty());
    let error = section.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SideEffect);
    assert!(
        format!("{error:?}").contains("the pager is away"),
        "{error:?}"
    );
}

#[test]
fn one_that_takes_its_time_keeps_nobody_waiting() {
    let db = database();
    let _one = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let _other = Blocker::new(&db, "SELECT pg_advisory_lock(2)");
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let began = Arc::new(AtomicBool::new(false));
    let has_begun = Arc::clone(&began);
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        let is_called_again = has_begun.swap(true, Ordering::Relaxed);
        assert!(!is_called_again, "before it has returned");
        let _ = may_go_on.lock().unwrap().recv_timeout(BOUND);
        // The section has ended by now.
        assert!(blocked.fetch()?.is_empty());
        blocked.terminate()
    });
    let mut slow = db.connect();
    let mut slow = prioritize(&db)
        .side_effect(side_effect)
        .timeout(5 * INTERVAL)
        .on(&mut slow)
        .unwrap();
    slow.batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert!(began.load(Ordering::Relaxed));

    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    let started = Instant::now();
    section.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    section.finish().unwrap();

    let started = Instant::now();
    let report = slow.finish().unwrap();
    assert!(report.side_effect_unfinished());
    assert!(started.elapsed() < Duration::from_secs(3));
    drop(go_on);
}

#[test]
fn it_is_not_called_while_nobody_waits() {
    let db = database();
    let side_effect = Do(|_: &mut Blocked<'_>| panic!("nobody waits"));
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_sleep(0.5)").unwrap();
    section.finish().unwrap();
}

#[test]
fn it_may_use_a_connection_of_its_own() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let url = db.url().to_owned();
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        let mut client =
            postgres::Client::connect(&url, postgres::NoTls).map_err(Error::side_effect)?;
        let mut signaled = Vec::new();
        for lock in blocked.fetch()? {
            let pid = lock.blocking_activity.pid;
            client
                .execute("SELECT pg_terminate_backend($1)", &[&pid])
                .map_err(Error::side_effect)?;
            signaled.push(pid);
        }
        Ok(signaled)
    });
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
    blocker.was_terminated();
}
