//! Waits in slices of twice `deadlock_timeout`, which is short here.

use std::time::{Duration, Instant};

use pglock::{Error, ErrorKind};
use pglock_tests::{BOUND, TestDb, database, wait_until};

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    a_wait_is_begun_anew_until_the_lock_is_granted
    a_timeout_of_several_slices_is_exact
    a_deadlock_of_waits_in_slices_is_found
}

fn hasty<D: Driver>(db: &TestDb, deadlock_timeout: &str) -> D {
    let mut driver = D::connect(db);
    let set = format!("SET deadlock_timeout = '{deadlock_timeout}'");
    driver.connection().execute(&set).unwrap();
    driver
}

fn a_wait_is_begun_anew_until_the_lock_is_granted<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter, mut observer) =
        (D::connect(&db), hasty::<D>(&db, "50ms"), D::connect(&db));
    let held = pglock::advisory("long").on(holder.connection());
    let held = held.acquire().unwrap();
    let pid = waiter.pid();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let lock = pglock::advisory("long").on(waiter.connection());
            lock.acquire()?.release()
        });
        let (mut seen, mut last) = (0, String::new());
        wait_until("it waits for the fifth time", BOUND, || {
            let began = observer.connection().text(&format!(
                "SELECT coalesce(max(xact_start::text), '') FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
            ));
            if !began.is_empty() && began != last {
                (seen, last) = (seen + 1, began);
            }
            seen == 5
        });
        held.release().unwrap();
        waits.join().unwrap().unwrap();
    });
    assert_eq!(db.advisory_locks(), []);
    for setting in ["statement_timeout", "lock_timeout"] {
        let value = format!("current_setting('{setting}')");
        assert_eq!(waiter.connection().text(&value), "0", "{setting}");
    }
}

fn a_timeout_of_several_slices_is_exact<D: Driver>() {
    let db = database();
    let (mut holder, mut waiter) = (D::connect_as(&db, "holder"), hasty::<D>(&db, "180ms"));
    let held = pglock::advisory("exact").on(holder.connection());
    let held = held.acquire().unwrap();
    let timeout = Duration::from_millis(730);
    let began = Instant::now();
    let lock = pglock::advisory("exact").timeout(timeout);
    let error = lock.on(waiter.connection()).acquire().unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.holder().unwrap().application_name, "holder");
    assert!(error.to_string().contains("730 ms"), "{error}");
    assert!(
        timeout <= took && took < timeout + Duration::from_millis(200),
        "{took:?}"
    );
    held.release().unwrap();
}

fn a_deadlock_of_waits_in_slices_is_found<D: Driver>() {
    let db = database();
    let crossed = |first: &'static str, second: &'static str| -> Result<(), Error> {
        let mut driver = hasty::<D>(&db, "200ms");
        let outer = pglock::advisory(first).on(driver.connection());
        let mut outer = outer.acquire()?;
        wait_until("both hold one", BOUND, || {
            db.advisory_locks().iter().filter(|it| it.granted).count() == 2
        });
        let inner = pglock::advisory(second).timeout(Duration::from_secs(6));
        inner.on(&mut *outer).acquire()?.release()?;
        outer.release()
    };
    let ends = std::thread::scope(|scope| {
        let one = scope.spawn(|| crossed("a", "b"));
        let other = scope.spawn(|| crossed("b", "a"));
        [one.join().unwrap(), other.join().unwrap()]
    });
    let kinds: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    let kinds: Vec<_> = kinds.iter().map(|error| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Deadlock]);
}
