//! Looking at locks, and ending the sessions behind them.

use pglock::{BlockerAction, Error, LockKind, TableMode};
use pglock_tests::{BOUND, TestDb, database, wait_until};
use tokio_postgres::error::SqlState;

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    locks_are_listed_and_filtered
    a_blocked_wait_is_listed_and_can_be_canceled
    a_blocker_can_be_ended
}

fn locks_are_listed_and_filtered<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders (); CREATE TABLE drafts ()");
    let (mut holder, mut driver) = (D::connect_as(&db, "holder"), D::connect(&db));
    let pid = holder.pid();
    holder.transaction(|held| {
        let tables = pglock::tables(["orders", "drafts"]);
        tables.mode(TableMode::Share).lock(held).unwrap();
        let orders = || pglock::locks().on(["orders"]).granted(true);
        let locks = orders().fetch(driver.connection()).unwrap();
        assert_eq!(locks.len(), 1);
        assert_eq!(
            (locks[0].activity.pid, locks[0].kind),
            (pid, LockKind::Relation)
        );
        let activity = &locks[0].activity;
        assert_eq!(activity.application_name.as_deref(), Some("holder"));
        assert!(activity.backend_start.is_some());

        let other = orders().filter("mode=EXCLUSIVE").unwrap();
        assert_eq!(other.fetch(driver.connection()).unwrap().len(), 0);
        let same = orders().pid([pid]).filter("mode=SHARE").unwrap();
        driver.transaction(|tx| assert_eq!(same.fetch(tx).unwrap().len(), 1));
        assert!(
            pglock::locks()
                .on(["Orders"])
                .fetch(driver.connection())
                .unwrap_err()
                .is_config()
        );
        assert_eq!(
            pglock::blocked_locks()
                .fetch(driver.connection())
                .unwrap()
                .len(),
            0
        );
    });
}

/// Starts a wait on a thread of its own, lists it and cancels it; returns the waiter's error.
fn canceled<D: Driver>(
    db: &TestDb,
    (holding, waiting): (i32, i32),
    wait: impl FnOnce() -> Error + Send,
) {
    let mut driver = D::connect(db);
    let error = std::thread::scope(|scope| {
        let waiter = scope.spawn(wait);
        db.wait_for_waiters(1);
        let blocked = pglock::blocked_locks().fetch(driver.connection()).unwrap();
        let pids = blocked
            .iter()
            .map(|lock| (lock.activity.pid, lock.blocking_activity.pid));
        let pids: Vec<_> = pids.collect();
        let waits = pglock::locks().granted(false).pid([waiting]);
        let signaled = waits.cancel_activity(driver.connection()).unwrap();
        let error = waiter.join().unwrap();
        assert_eq!((pids, signaled), (vec![(waiting, holding)], vec![waiting]));
        error
    });
    assert_eq!(error.sql_state(), Some(&SqlState::QUERY_CANCELED));
    assert!(
        error.to_string().contains("canceled in the server"),
        "{error}"
    );
}

fn a_blocked_wait_is_listed_and_can_be_canceled<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter) = (D::connect(&db), D::connect(&db));
    let pids = (holder.pid(), waiter.pid());
    let held = pglock::advisory("on").on(holder.connection());
    let held = held.acquire().unwrap();
    canceled::<D>(&db, pids, || {
        let lock = pglock::advisory("on").on(waiter.connection());
        lock.acquire().unwrap_err()
    });
    canceled::<D>(&db, pids, || {
        waiter.transaction(|tx| {
            let error = pglock::advisory("on").acquire_xact(tx).unwrap_err();
            // The transaction can go on.
            assert_eq!(tx.text("1"), "1");
            error
        })
    });
    held.release().unwrap();
    assert_eq!(db.advisory_locks(), []);
}

fn a_blocker_can_be_ended<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter, mut driver) = (D::connect(&db), D::connect(&db), D::connect(&db));
    let (holding, waiting) = (holder.pid(), waiter.pid());
    std::thread::scope(|scope| {
        let held = pglock::advisory("on").on(holder.connection());
        let held = held.acquire().unwrap();
        let thread = scope.spawn(|| {
            let lock = pglock::advisory("on").on(waiter.connection());
            lock.acquire()?.release()
        });
        wait_until("it waits", BOUND, || db.blocked_pids() == [waiting]);
        let blocked = || pglock::blocked_locks();
        let later = blocked().filter("wait_duration__gte=1 hour").unwrap();
        let ended = later.terminate_blocking_activity(driver.connection());
        assert!(ended.unwrap().is_empty());
        let report = blocked().pid([waiting]).report();
        let report = report.terminate_blocking_activity(driver.connection());
        let [ended] = &report.unwrap()[..] else {
            panic!("there is one");
        };
        assert_eq!(
            (ended.pid, ended.action),
            (holding, BlockerAction::Terminated)
        );
        thread.join().unwrap().unwrap();
        assert!(held.release().unwrap_err().is_lost());
    });
}
