//! Locks in transactions, and transactions around and under session locks.

use std::time::Duration;

use pglock::{Error, ErrorKind, InTransaction};
use pglock_tests::database;

use super::driver::{Diesel, Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    an_xact_lock_is_held_until_its_transaction_ends
    a_busy_xact_lock_leaves_the_transaction_usable
    a_holder_that_may_not_be_seen_leaves_the_transaction_usable
    an_aborted_transaction_is_refused
    an_error_that_aborts_the_transaction_is_itself
    a_transaction_begun_by_hand_is_refused_with_nothing_held
    a_transaction_left_open_or_aborted_is_rolled_back_then_released
    an_attribute_takes_the_lock_in_its_transaction
}

fn id(name: &str) -> (u32, u32) {
    pglock::advisory_id(name)
}

fn an_xact_lock_is_held_until_its_transaction_ends<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let pid = driver.pid();
    driver.transaction(|tx| {
        tx.execute("SET LOCAL lock_timeout = '7s'").unwrap();
        pglock::advisory("waited for").acquire_xact(tx).unwrap();
        let timed = pglock::advisory("timed").timeout(Duration::from_secs(1));
        timed.acquire_xact(tx).unwrap();
        assert!(
            pglock::advisory("tried")
                .shared()
                .try_acquire_xact(tx)
                .unwrap()
        );
        for name in ["waited for", "timed", "tried"] {
            assert_eq!(db.held(id(name)), 1, "{name}");
        }
        assert!(db.advisory_locks().iter().all(|lock| lock.pid == pid));
        assert_eq!(tx.lock_timeout(), "7s");
    });
    assert_eq!(db.advisory_locks(), []);
}

fn a_busy_xact_lock_leaves_the_transaction_usable<D: Driver>() {
    let db = database();
    let (mut holder, mut driver) = (D::connect_as(&db, "holder"), D::connect(&db));
    let _held = pglock::advisory("busy")
        .on(holder.connection())
        .acquire()
        .unwrap();
    driver.transaction(|tx| {
        tx.execute("SET LOCAL lock_timeout = '7s'; CREATE TABLE made_before ()")
            .unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(50)] {
            let lock = pglock::advisory("busy").timeout(timeout);
            let error = lock.clone().acquire_xact(tx).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}: {error:?}");
            assert_eq!(error.holder().unwrap().application_name, "holder");
            assert!(!lock.try_acquire_xact(tx).unwrap());
        }
        assert_eq!(tx.lock_timeout(), "7s");
        pglock::advisory("free").acquire_xact(tx).unwrap();
        assert_eq!(db.held(id("free")), 1);
    });
    assert_eq!(
        driver.connection().text("to_regclass('made_before')"),
        "made_before"
    );
}

fn a_holder_that_may_not_be_seen_leaves_the_transaction_usable<D: Driver>() {
    let db = database();
    // Anything that fails as the holder is looked up would do.
    db.execute(
        "REVOKE SELECT ON pg_locks FROM PUBLIC; CREATE TABLE orders (); GRANT ALL ON orders TO pg_monitor",
    );
    let mut holder = db.connect();
    let mut held = holder.transaction().unwrap();
    pglock::advisory("busy").acquire_xact(&mut held).unwrap();
    pglock::table("orders").lock(&mut held).unwrap();
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        tx.execute("SET LOCAL ROLE pg_monitor").unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(50)] {
            let acquired = pglock::advisory("busy").timeout(timeout).acquire_xact(tx);
            let table = pglock::table("orders").timeout(timeout).lock(tx);
            for error in [acquired.unwrap_err(), table.unwrap_err()] {
                assert!(error.is_busy() && error.holder().is_none(), "{error}");
            }
        }
        tx.execute("SELECT 1").unwrap();
    });
}

fn an_aborted_transaction_is_refused<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        tx.execute("SELECT 1 / 0").unwrap_err();
        let lock = pglock::advisory("late");
        let errors = [
            lock.clone().acquire_xact(tx).unwrap_err(),
            lock.clone()
                .timeout(Duration::from_secs(1))
                .acquire_xact(tx)
                .unwrap_err(),
            lock.try_acquire_xact(tx).unwrap_err(),
            pglock::table("pg_class").lock(tx).unwrap_err(),
            pglock::table("pg_class").try_lock(tx).unwrap_err(),
            pglock::timeout(Duration::from_secs(1)).on(tx).unwrap_err(),
            pglock::locks().fetch(tx).unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_config(), "{error}: {error:?}");
            assert!(error.to_string().contains("roll back first"), "{error}");
        }
    });
    assert_eq!(db.advisory_locks(), []);
}

fn an_error_that_aborts_the_transaction_is_itself<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        pglock::table("orders").lock(tx).unwrap();
        let no_regex = pglock::locks().filter("rel_name__regex=[").unwrap();
        let error = no_regex.fetch(tx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database, "{error}: {error:?}");
    });
}

fn a_transaction_begun_by_hand_is_refused_with_nothing_held<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let connection = driver.connection();
    connection
        .execute("SET lock_timeout = '77s'; SET statement_timeout = '88s'")
        .unwrap();
    connection.execute("BEGIN").unwrap();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        let lock = pglock::advisory("begun").timeout(timeout).on(connection);
        let error = lock.acquire().unwrap_err();
        assert!(error.is_config(), "{error}: {error:?}");
        assert!(error.to_string().contains("acquire_xact"), "{error}");
        assert_eq!(db.advisory_locks(), []);
    }
    assert_eq!(connection.lock_timeout(), "77s");
    assert_eq!(
        connection.text("current_setting('statement_timeout')"),
        "88s"
    );
    connection.execute("SELECT 1 / 0").unwrap_err();
    let error = pglock::advisory("begun")
        .on(connection)
        .acquire()
        .unwrap_err();
    assert!(error.is_config(), "{error}: {error:?}");
    connection.execute("ROLLBACK").unwrap();
    pglock::advisory("begun")
        .on(connection)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
}

fn a_transaction_left_open_or_aborted_is_rolled_back_then_released<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let mut driver = D::connect(&db);
    for then in ["SELECT 1", "SELECT 1 / 0"] {
        let mut locked = pglock::advisory("left")
            .on(driver.connection())
            .acquire()
            .unwrap();
        locked.execute("BEGIN").unwrap();
        locked.execute("INSERT INTO work VALUES (1)").unwrap();
        let aborted = locked.execute(then).is_err();
        let released = locked.release();
        let reported = released
            .is_err_and(|error| error.is_config() && error.to_string().contains("left open"));
        assert_eq!(reported, !aborted);
        assert_eq!(db.advisory_locks(), []);
        assert_eq!(driver.connection().text("SELECT count(*) FROM work"), "0");
    }
    // The driver knows that it is outside a transaction.
    driver.transaction(|tx| tx.execute("INSERT INTO work VALUES (1)").unwrap());
    assert_eq!(driver.connection().text("SELECT count(*) FROM work"), "1");
}

fn an_attribute_takes_the_lock_in_its_transaction<D: Driver>() {
    #[pglock::advisory("xact", client = tx, xact)]
    fn held_inside<T: InTransaction>(tx: &mut T, held: impl Fn() -> usize) -> Result<usize, Error> {
        Ok(held())
    }

    let db = database();
    let mut driver = D::connect(&db);
    let held = || db.held(id("xact"));
    driver.transaction(|tx| {
        assert_eq!(held_inside(tx, held).unwrap(), 1);
        assert_eq!(held(), 1);
    });
    assert_eq!(held(), 0);
}

// Diesel's transactions have no type of their own, so these can be written.

#[test]
fn diesel_outside_a_transaction_is_refused_where_one_is_needed() {
    let db = database();
    let mut driver = Diesel::connect(&db);
    let connection = driver.connection();
    for _by_hand in [false, true] {
        let errors = [
            pglock::advisory("xact")
                .acquire_xact(connection)
                .unwrap_err(),
            pglock::advisory("xact")
                .try_acquire_xact(connection)
                .unwrap_err(),
            pglock::table("pg_class").lock(connection).unwrap_err(),
            pglock::table("pg_class").try_lock(connection).unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_config(), "{error}: {error:?}");
            assert!(error.to_string().contains("begin one first"), "{error}");
        }
        let mut scope = pglock::timeout(Duration::from_secs(1))
            .on(connection)
            .unwrap();
        assert!(
            pglock::advisory("xact")
                .acquire_xact(&mut scope)
                .unwrap_err()
                .is_config()
        );
        drop(scope);
        assert_eq!(db.advisory_locks(), []);
        // Diesel does not know of a transaction that is begun so.
        connection.execute("BEGIN").unwrap();
    }
}

#[test]
fn diesel_inside_a_transaction_is_refused_where_none_may_be() {
    let db = database();
    let mut driver = Diesel::connect(&db);
    driver.transaction(|tx| {
        for timeout in [None, Some(Duration::ZERO)] {
            let lock = pglock::advisory("inside").timeout(timeout).on(tx);
            let error = lock.acquire().unwrap_err();
            assert!(error.is_config(), "{error}: {error:?}");
            assert!(error.to_string().contains("acquire_xact"), "{error}");
        }
        assert_eq!(db.advisory_locks(), []);
        pglock::advisory("inside").acquire_xact(tx).unwrap();
    });
}

#[test]
fn diesel_counts_its_transactions_as_before() {
    use diesel::Connection as _;

    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let (mut holder, mut driver) = (Diesel::connect(&db), Diesel::connect(&db));
    let _held = pglock::advisory("busy")
        .on(holder.connection())
        .acquire()
        .unwrap();
    driver.transaction(|outer| {
        outer.execute("INSERT INTO work VALUES (1)").unwrap();
        let inner: Result<(), diesel::result::Error> = outer.transaction(|inner| {
            inner.execute("INSERT INTO work VALUES (2)").unwrap();
            pglock::advisory("inner").acquire_xact(inner).unwrap();
            let busy = pglock::advisory("busy").timeout(Duration::from_millis(20));
            assert!(busy.acquire_xact(inner).unwrap_err().is_busy());
            assert_eq!(db.held(id("inner")), 1);
            Err(diesel::result::Error::RollbackTransaction)
        });
        inner.unwrap_err();
        // The savepoint's rollback has released what was taken behind it.
        assert_eq!(db.held(id("inner")), 0);
        let busy = pglock::advisory("busy").timeout(Duration::from_millis(20));
        assert!(!busy.try_acquire_xact(outer).unwrap());
    });
    assert_eq!(
        driver
            .connection()
            .text("SELECT string_agg(done::text, ' ') FROM work"),
        "1"
    );
}

#[test]
fn a_panic_in_a_diesel_transaction_releases_the_enclosing_lock() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use diesel::Connection as _;

    let db = database();
    let mut driver = Diesel::connect(&db);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut locked = pglock::advisory("around")
            .on(driver.connection())
            .acquire()
            .unwrap();
        let _: diesel::QueryResult<()> = locked.transaction(|_| panic!("as planned"));
    }));
    assert!(panicked.is_err());
    assert_eq!(db.advisory_locks(), []);
    // Diesel had left its transaction open; it is usable again.
    driver.transaction(|tx| pglock::advisory("around").acquire_xact(tx).unwrap());
}
