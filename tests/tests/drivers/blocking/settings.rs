//! Lock timeouts for a part of the work.

use std::time::{Duration, Instant};

use pglock::{AnyConnection, Error};
use pglock_tests::database;

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    a_statement_that_waits_longer_fails
    scopes_nest_and_put_back_what_was_there
    in_a_transaction_it_is_the_transactions
    in_an_aborted_transaction_the_rollback_puts_it_back
    a_transaction_left_aborted_in_the_scope_is_rolled_back_first
    an_attribute_sets_it_for_its_body
}

const SECOND: Duration = Duration::from_secs(1);

fn a_statement_that_waits_longer_fails<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut holder, mut driver) = (D::connect(&db), D::connect(&db));
    holder.transaction(|held| {
        pglock::table("orders").lock(held).unwrap();
        let timeout = Duration::from_millis(100);
        let mut impatient = pglock::timeout(timeout).on(driver.connection()).unwrap();
        let began = Instant::now();
        impatient.execute("SELECT FROM orders").unwrap_err();
        assert!(began.elapsed() >= timeout && began.elapsed() < SECOND);
        impatient.restore().unwrap();
    });
    assert_eq!(driver.connection().lock_timeout(), "0");
}

fn scopes_nest_and_put_back_what_was_there<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    driver
        .connection()
        .execute("SET lock_timeout = '7s'")
        .unwrap();
    {
        let mut outer = pglock::timeout(SECOND).on(driver.connection()).unwrap();
        assert_eq!(outer.lock_timeout(), "1s");
        {
            let mut inner = pglock::timeout(None).on(&mut outer).unwrap();
            assert_eq!(inner.lock_timeout(), "0");
            inner.execute("SELECT 1 / 0").unwrap_err();
        }
        assert_eq!(outer.lock_timeout(), "1s");
        let mut locked = pglock::advisory("inside").on(&mut outer).acquire().unwrap();
        let inner = pglock::timeout(SECOND / 2).on(&mut locked).unwrap();
        inner.restore().unwrap();
        assert_eq!(locked.lock_timeout(), "1s");
    }
    assert_eq!(driver.connection().lock_timeout(), "7s");
    assert_eq!(db.advisory_locks(), []);
}

fn in_a_transaction_it_is_the_transactions<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    driver
        .connection()
        .execute("SET lock_timeout = '7s'")
        .unwrap();
    driver.transaction(|tx| {
        tx.execute("SET LOCAL lock_timeout = '5s'").unwrap();
        let mut scope = pglock::timeout(SECOND).on(tx).unwrap();
        assert_eq!(scope.lock_timeout(), "1s");
        pglock::advisory("inside").acquire_xact(&mut scope).unwrap();
        assert_eq!(scope.lock_timeout(), "1s");
        scope.restore().unwrap();
        assert_eq!(tx.lock_timeout(), "5s");
        let _left = pglock::timeout(SECOND).on(tx).unwrap();
    });
    assert_eq!(driver.connection().lock_timeout(), "7s");
}

fn in_an_aborted_transaction_the_rollback_puts_it_back<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    driver
        .connection()
        .execute("SET lock_timeout = '7s'")
        .unwrap();
    driver.transaction(|tx| {
        let mut scope = pglock::timeout(SECOND).on(tx).unwrap();
        scope.execute("SELECT 1 / 0").unwrap_err();
        scope.restore().unwrap();
    });
    assert_eq!(driver.connection().lock_timeout(), "7s");
}

fn a_transaction_left_aborted_in_the_scope_is_rolled_back_first<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    let mut scope = pglock::timeout(SECOND).on(driver.connection()).unwrap();
    scope.execute("BEGIN").unwrap();
    scope.execute("SELECT 1 / 0").unwrap_err();
    drop(scope);
    assert_eq!(driver.connection().lock_timeout(), "0");
}

fn an_attribute_sets_it_for_its_body<D: Driver>() {
    #[pglock::timeout("3s")]
    fn inside<C: AnyConnection + Speaks>(connection: &mut C) -> Result<String, Error> {
        Ok(connection.lock_timeout())
    }

    let db = database();
    let mut driver = D::connect(&db);
    assert_eq!(inside(driver.connection()).unwrap(), "3s");
    assert_eq!(driver.connection().lock_timeout(), "0");
    driver.transaction(|tx| {
        assert_eq!(inside(tx).unwrap(), "3s");
        assert_eq!(tx.lock_timeout(), "0");
    });
}
