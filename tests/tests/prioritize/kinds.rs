//! Blockers of every kind, and how soon they are gone.

use std::time::{Duration, Instant};

use pglock::{BlockerAction, PrioritizeReport};
use pglock_tests::{TestDb, database};
use postgres::Client;

use crate::{Blocker, prioritize};

/// How soon the body goes on after it was blocked, with an interval of 100 ms.
const PROMISED: Duration = Duration::from_millis(300);

/// Blocks, and lets a section wait: how long that took, and what was reported.
fn block_once(db: &TestDb, holds: &str, waits_for: &str) -> (Duration, PrioritizeReport) {
    let blocker = Blocker::new(db, holds);
    let mut client = db.connect();
    let mut section = prioritize(db).on(&mut client).unwrap();
    let began = Instant::now();
    section.batch_execute(waits_for).unwrap();
    let took = began.elapsed();
    let report = section.finish().unwrap();
    assert_eq!(report.signaled(), [blocker.pid], "{report}");
    let blockers: Vec<_> = report.blockers().iter().collect();
    assert_eq!(blockers[0].action, BlockerAction::Terminated, "{report}");
    assert_eq!(blockers[0].application_name, "blocker", "{report}");
    blocker.was_terminated();
    (took, report)
}

/// The median of twenty.
fn goes_on_soon(db: &TestDb, holds: &str, waits_for: &str) {
    let mut times: Vec<_> = (0..20)
        .map(|_| block_once(db, holds, waits_for).0)
        .collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!("{holds}: median {median:?}, longest {:?}", times[19]);
    assert!(median < PROMISED, "{median:?} of {times:?}");
}

#[test]
fn a_table_lock_of_a_statement_that_runs() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let mut client = db.connect_as("blocker");
            let pid = crate::pid_of(&mut client);
            let thread = std::thread::spawn(move || {
                client.batch_execute("BEGIN; LOCK TABLE orders IN SHARE MODE; SELECT pg_sleep(60)")
            });
            pglock_tests::wait_until("it sleeps", pglock_tests::BOUND, || {
                let locks = pglock::locks().pid([pid]).on(["orders"]).granted(true);
                !locks.fetch(&mut db.connect()).unwrap().is_empty()
            });
            let mut client = db.connect();
            let mut section = prioritize(&db).on(&mut client).unwrap();
            let began = Instant::now();
            section
                .batch_execute("BEGIN; LOCK TABLE orders; COMMIT")
                .unwrap();
            let took = began.elapsed();
            assert_eq!(section.finish().unwrap().signaled(), [pid]);
            thread.join().unwrap().unwrap_err();
            took
        })
        .collect();
    times.sort_unstable();
    assert!(times[10] < PROMISED, "{times:?}");
}

#[test]
fn a_table_lock_of_a_session_that_idles_in_its_transaction() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    goes_on_soon(
        &db,
        "BEGIN; SELECT FROM orders",
        "BEGIN; LOCK TABLE orders; COMMIT",
    );
}

#[test]
fn a_row_lock() {
    let db = database();
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    goes_on_soon(
        &db,
        "BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE",
        "UPDATE orders SET id = 1",
    );
}

#[test]
fn an_advisory_lock() {
    let db = database();
    goes_on_soon(
        &db,
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_lock(1)",
    );
}

#[test]
fn a_row_that_two_wait_for() {
    // The second waiter waits for the first one's tuple lock, and both are in the section's way.
    let db = database();
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    let holder = Blocker::new(&db, "BEGIN; UPDATE orders SET id = 1");
    let (queued_pid, queued) = crate::in_background(&db, |client: &mut Client| {
        client
            .batch_execute("UPDATE orders SET id = 1")
            .unwrap_err();
    });
    crate::wait_until_it_waits(&db, queued_pid);
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.batch_execute("UPDATE orders SET id = 1").unwrap();
    let signaled = section.finish().unwrap().signaled();
    assert!(signaled.contains(&queued_pid), "{signaled:?}");
    queued.join().unwrap();
    holder.was_terminated();
}

#[test]
fn one_that_only_waits_ahead_in_the_queue() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut reader = Blocker::new(&db, "BEGIN; SELECT FROM orders");
    let (queued_pid, queued) = crate::in_background(&db, |client: &mut Client| {
        client
            .batch_execute("BEGIN; LOCK TABLE orders")
            .unwrap_err();
    });
    crate::wait_until_it_waits(&db, queued_pid);
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.batch_execute("SELECT FROM orders").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [queued_pid]);
    queued.join().unwrap();
    assert!(reader.is_alive(), "it blocked nobody");
}
