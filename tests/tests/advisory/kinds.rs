//! IDs, and locks of transactions.

use std::time::Duration;

use pglock_tests::database;

use crate::{another_handle, handle};

#[test]
fn ids_are_what_pg_locks_shows() {
    let db = database();
    let here = handle(&db);
    let one = pglock::advisory("a.b.c").using(&here).acquire().unwrap();
    let two = pglock::advisory(i64::MAX).using(&here).acquire().unwrap();
    let three = pglock::advisory(i64::MIN).using(&here).acquire().unwrap();
    let four = pglock::advisory((-7, 8)).using(&here).acquire().unwrap();
    assert_eq!(db.held(pglock::advisory_id("a.b.c")), 1);
    assert_eq!(db.held(pglock::advisory_id(i64::MAX)), 1);
    assert_eq!(db.held(i64::MIN), 1);
    assert_eq!(db.held((-7, 8)), 1);
    assert_eq!(db.advisory_locks().len(), 4);
    for guard in [one, two, three, four] {
        guard.release().unwrap();
    }
    db.wait_for_no_locks();
}

#[test]
fn xact_holds_a_transaction_open_and_ends_it() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("ledger")
        .using(&here)
        .xact()
        .acquire()
        .unwrap();
    assert_eq!(db.held(pglock::advisory_id("ledger")), 1);
    assert!(
        pglock::advisory("ledger")
            .using(&here)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    assert!(
        pglock::advisory("ledger")
            .using(&here)
            .xact()
            .try_acquire()
            .unwrap()
            .is_none()
    );
    let busy = pglock::advisory("ledger")
        .using(&here)
        .xact()
        .timeout(Duration::from_millis(50))
        .acquire();
    assert!(busy.unwrap_err().is_busy());
    guard.release().unwrap();
    db.wait_for_no_locks();
    pglock::advisory("ledger")
        .using(&here)
        .xact()
        .acquire()
        .unwrap()
        .release()
        .unwrap();
}

#[test]
fn timeouts_of_role_and_database_do_not_end_a_lock() {
    let db = database();
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        db.execute(&format!(
            "ALTER DATABASE {} SET {setting} = '100ms'",
            db.name()
        ));
    }
    let (here, there) = (handle(&db), another_handle(&db));
    let session = pglock::advisory("session").using(&here).acquire().unwrap();
    let xact = pglock::advisory("xact")
        .using(&here)
        .xact()
        .acquire()
        .unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pglock::advisory("session").using(&there).acquire().unwrap());
        let xact_waiter = scope.spawn(|| {
            pglock::advisory("xact")
                .using(&there)
                .xact()
                .acquire()
                .unwrap()
        });
        db.wait_for_waiters(2);
        // The time itself is what is tested: each of the settings would have struck by then.
        std::thread::sleep(Duration::from_millis(400));
        session.release().unwrap();
        xact.release().unwrap();
        waiter.join().unwrap().release().unwrap();
        xact_waiter.join().unwrap().release().unwrap();
    });
    db.wait_for_no_locks();
}
