//! Sessions whose pids were reused, which only here can be made up. On a real server.

use std::time::Duration;

use pglock_tests::{BOUND, TestDb, database, wait_until};
use postgres::Client;

use super::{Canceled, activities, signal_blockers, waiting};
use crate::background::block_on;
use crate::drivers::BlockingWire;
use crate::model::backend::Backend;
use crate::sql::backend::own_backend;
use crate::sql::{Rows, Statement};
use crate::watcher::policy::{Escalation, SignalPolicy};
use crate::watcher::report::{Blocker, BlockerAction, Spared};
use crate::wire::ExtendedQuery as _;

fn backend(client: &mut Client) -> Backend {
    let rows = block_on(BlockingWire(client).query(&own_backend(), &[])).unwrap();
    crate::sql::backend::read(&rows.first_row().unwrap()).unwrap()
}

fn ask(client: &mut Client, (sql, values): &Statement) -> Rows {
    block_on(BlockingWire(client).query(sql, values)).unwrap()
}

/// A session that holds a lock, and one that waits for it on a thread of its own.
fn tangle(db: &TestDb) -> (Client, Backend, Backend) {
    let (mut holder, mut waiter) = (db.connect(), db.connect());
    holder.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let (holds, waits) = (backend(&mut holder), backend(&mut waiter));
    std::thread::spawn(move || waiter.batch_execute("SELECT pg_advisory_lock(1)"));
    wait_until("it waits", BOUND, || db.waiting(1) == 1);
    (holder, holds, waits)
}

fn earlier(backend: Backend) -> Backend {
    Backend {
        started: backend.started.map(|started| started - 1),
        ..backend
    }
}

#[test]
fn a_pid_whose_start_differs_does_not_wait() {
    let db = database();
    let (_holder, holds, waits) = tangle(&db);
    let mut watcher = db.connect();
    let sessions = [earlier(waits), waits, holds];
    let rows = ask(&mut watcher, &waiting(&sessions));
    let seen = activities(&rows, sessions.len());
    assert!(seen[0].is_none());
    assert!(seen[1].as_ref().is_some_and(|it| it.is_here && it.may_wait));
    assert!(
        seen[2]
            .as_ref()
            .is_some_and(|it| it.is_here && !it.may_wait)
    );
}

#[test]
fn nothing_is_signaled_for_a_pid_whose_start_differs() {
    let db = database();
    let (mut holder, _, waits) = tangle(&db);
    let mut watcher = db.connect();
    let terminate = SignalPolicy::new(Escalation::Terminate);
    let rows = ask(
        &mut watcher,
        &signal_blockers(earlier(waits), &terminate, &[], &[]),
    );
    assert!(rows.is_empty());
    holder.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_pid_whose_start_differs_was_not_canceled_before_and_is_not_ended() {
    let db = database();
    let (mut holder, holds, waits) = tangle(&db);
    // One that idles has nothing to cancel.
    let holder = std::thread::spawn(move || {
        let sleep = "SELECT pg_sleep(600)";
        while holder
            .batch_execute(sleep)
            .unwrap_err()
            .as_db_error()
            .is_some()
        {}
    });
    let sleeps = || {
        wait_until("it sleeps", BOUND, || {
            db.statement_of(holds.pid).contains("pg_sleep")
        });
    };
    let mut watcher = db.connect();
    let escalate = SignalPolicy::new(Escalation::Escalate {
        grace: Duration::ZERO,
    });
    let mut signaled = |backend| {
        let before = [Canceled {
            backend,
            overdue: true,
        }];
        let rows = ask(
            &mut watcher,
            &signal_blockers(waits, &escalate, &[], &before),
        );
        let blocker = Blocker::read(&rows.first_row().unwrap(), escalate.dry_run).unwrap();
        assert_eq!(blocker.backend(), holds);
        blocker.action
    };
    sleeps();
    assert_eq!(signaled(earlier(holds)), BlockerAction::Canceled);
    sleeps();
    assert_eq!(signaled(holds), BlockerAction::Terminated);
    holder.join().unwrap();
}

#[test]
fn own_sessions_are_known_by_their_start_too() {
    let db = database();
    let (mut holder, holds, waits) = tangle(&db);
    let mut watcher = db.connect();
    let terminate = SignalPolicy::new(Escalation::Terminate);
    let mut signaled = |own| {
        let rows = ask(
            &mut watcher,
            &signal_blockers(waits, &terminate, &[own], &[]),
        );
        Blocker::read(&rows.first_row().unwrap(), terminate.dry_run)
            .unwrap()
            .action
    };
    assert_eq!(signaled(holds), BlockerAction::Spared(Spared::Own));
    holder.batch_execute("SELECT 1").unwrap();
    assert_eq!(signaled(earlier(holds)), BlockerAction::Terminated);
}

#[test]
fn only_filters_change_the_text() {
    let backend = Backend {
        pid: 1,
        started: None,
    };
    let text =
        |policy: &SignalPolicy, own: &[Backend]| signal_blockers(backend, policy, own, &[]).0;
    let terminate = SignalPolicy::new(Escalation::Terminate);
    let mut other = SignalPolicy::new(Escalation::Cancel);
    other.never_applications = vec!["a".to_owned(), "b".to_owned()];
    other.dry_run = true;
    assert_eq!(text(&terminate, &[]), text(&other, &[backend, backend]));
    assert_eq!(waiting(&[]).0, waiting(&[backend, backend]).0);
}
