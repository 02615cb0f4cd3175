//! Session locks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pglock::{Connection, Error, ErrorKind};
use pglock_tests::database;

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    a_lock_is_on_the_connection_from_acquire_to_release
    a_dropped_guard_releases
    a_busy_lock_is_an_error_that_names_the_holder
    a_wait_ends_with_the_holders_lock
    a_panic_releases
    an_attribute_takes_the_lock_on_its_client
}

fn id(name: &str) -> (u32, u32) {
    pglock::advisory_id(name)
}

fn a_lock_is_on_the_connection_from_acquire_to_release<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let pid = driver.pid();
    driver
        .connection()
        .execute("SET lock_timeout = '7s'")
        .unwrap();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        let lock = pglock::advisory("on").timeout(timeout);
        let mut locked = lock.clone().on(driver.connection()).acquire().unwrap();
        let locks = db.advisory_locks();
        assert_eq!(
            (locks.len(), locks[0].key, locks[0].pid),
            (1, id("on").into(), pid)
        );
        assert_eq!(locks[0].mode, "ExclusiveLock");
        assert_eq!(locked.lock_timeout(), "7s");
        locked.check().unwrap();
        locked.release().unwrap();
        assert_eq!(db.advisory_locks(), []);

        let shared = lock.shared().on(driver.connection()).acquire().unwrap();
        assert_eq!(db.advisory_locks()[0].mode, "ShareLock");
        shared.release().unwrap();
        assert_eq!(db.advisory_locks(), []);
    }
    let pair = pglock::advisory((-1, 2))
        .on(driver.connection())
        .acquire()
        .unwrap();
    assert_eq!(db.held((-1, 2)), 1);
    pair.release().unwrap();
    assert_eq!(db.advisory_locks(), []);
}

fn a_dropped_guard_releases<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let locked = pglock::advisory("on")
        .on(driver.connection())
        .acquire()
        .unwrap();
    assert_eq!(db.held(id("on")), 1);
    drop(locked);
    assert_eq!(db.advisory_locks(), []);
}

fn a_busy_lock_is_an_error_that_names_the_holder<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect_as(&db, "holder"), D::connect(&db));
    let pid = holder.pid();
    let held = pglock::advisory("busy")
        .on(holder.connection())
        .acquire()
        .unwrap();
    let busy = pglock::advisory("busy").timeout(Duration::ZERO);
    assert!(
        busy.clone()
            .on(driver.connection())
            .try_acquire()
            .unwrap()
            .is_none()
    );
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        let began = Instant::now();
        let lock = pglock::advisory("busy")
            .timeout(timeout)
            .on(driver.connection());
        let error = lock.acquire().unwrap_err();
        assert!(began.elapsed() >= timeout);
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}: {error:?}");
        let who = error.holder().unwrap();
        assert_eq!((who.pid, who.application_name.as_str()), (pid, "holder"));
        let lock = pglock::advisory("busy")
            .timeout(timeout)
            .on(driver.connection());
        assert!(lock.try_acquire().unwrap().is_none());
        let left: Vec<_> = db.advisory_locks().iter().map(|lock| lock.pid).collect();
        assert_eq!(left, [pid]);
    }
    held.release().unwrap();
    let got = busy.on(driver.connection()).try_acquire().unwrap();
    got.expect("it is free").release().unwrap();
    assert_eq!(db.advisory_locks(), []);
}

fn a_wait_ends_with_the_holders_lock<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    std::thread::scope(|scope| {
        let held = pglock::advisory("on").on(holder.connection());
        let held = held.acquire().unwrap();
        let waiter = scope.spawn(|| {
            // Of the server's timeouts none counts.
            driver
                .connection()
                .execute("SET statement_timeout = '50ms'")
                .unwrap();
            let locked = pglock::advisory("on").on(driver.connection()).acquire()?;
            assert_eq!(db.held(id("on")), 1);
            locked.release()
        });
        db.wait_for_waiters(1);
        let began = Instant::now();
        pglock_tests::wait_until(
            "its statement would have timed out",
            pglock_tests::BOUND,
            || began.elapsed() > Duration::from_millis(100) || waiter.is_finished(),
        );
        held.release().unwrap();
        waiter.join().unwrap().unwrap();
    });
    assert_eq!(db.advisory_locks(), []);
}

fn a_panic_releases<D: Driver>() {
    #[pglock::advisory("on", client = connection)]
    fn panics<C: Connection>(connection: &mut C) -> Result<(), Error> {
        panic!("as planned")
    }

    let db = database();
    let mut driver = D::connect(&db);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locked = pglock::advisory("on")
            .on(driver.connection())
            .acquire()
            .unwrap();
        assert_eq!(db.held(id("on")), 1);
        panic!("as planned")
    }));
    assert!(panicked.is_err());
    assert_eq!(db.advisory_locks(), []);
    assert!(catch_unwind(AssertUnwindSafe(|| panics(driver.connection()))).is_err());
    assert_eq!(db.advisory_locks(), []);
}

fn an_attribute_takes_the_lock_on_its_client<D: Driver>() {
    #[pglock::advisory("on", client = connection, timeout = 0, side_effect = Skip)]
    fn pid_under_the_lock<C: Connection + Speaks>(
        connection: &mut C,
        held: impl FnOnce() -> usize,
    ) -> Result<Option<String>, Error> {
        assert_eq!(held(), 1);
        Ok(Some(connection.text("pg_backend_pid()")))
    }

    let db = database();
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    let pid = driver.pid().to_string();
    let held = || db.held(id("on"));
    assert_eq!(
        pid_under_the_lock(driver.connection(), held).unwrap(),
        Some(pid)
    );
    assert_eq!(db.advisory_locks(), []);
    let _locked = pglock::advisory("on")
        .on(holder.connection())
        .acquire()
        .unwrap();
    assert_eq!(pid_under_the_lock(driver.connection(), held).unwrap(), None);
}
