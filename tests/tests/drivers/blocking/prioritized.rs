//! Prioritized sections.

use std::time::Duration;

use pglock::{Database, PrioritizeReport};
use pglock_tests::{TestDb, database};

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    blockers_are_terminated
    in_a_transaction_too
    in_an_aborted_transaction_it_is_refused
    an_attribute_prioritizes_its_body
}

const INTERVAL: Duration = Duration::from_millis(100);

fn here(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

fn prioritize(db: &TestDb) -> pglock::Prioritize {
    pglock::prioritize().interval(INTERVAL).using(here(db))
}

fn ended(report: &PrioritizeReport, mut blocker: postgres::Client) {
    assert_eq!(report.signaled().len(), 1, "{report}");
    blocker.batch_execute("SELECT 1").unwrap_err();
}

fn blockers_are_terminated<D: Driver>() {
    let db = database();
    let mut blocker = db.connect();
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut driver = D::connect(&db);
    let mut section = prioritize(&db)
        .timeout(Duration::from_secs(20))
        .on(driver.connection())
        .unwrap();
    assert_eq!(section.lock_timeout(), "20s");
    section.execute("SELECT pg_advisory_lock(1)").unwrap();
    ended(&section.finish().unwrap(), blocker);
    assert_eq!(driver.connection().lock_timeout(), "0");
}

fn in_a_transaction_too<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut blocker = db.connect();
    blocker.batch_execute("BEGIN; LOCK TABLE orders").unwrap();
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        let mut section = prioritize(&db).on(tx).unwrap();
        pglock::table("orders").lock(&mut section).unwrap();
        ended(&section.finish().unwrap(), blocker);
    });
}

fn in_an_aborted_transaction_it_is_refused<D: Driver>() {
    let db = database();
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        tx.execute("SELECT 1 / 0").unwrap_err();
        let error = prioritize(&db).on(tx).unwrap_err();
        assert!(error.is_config(), "{error}");
    });
}

#[pglock::prioritize(interval = INTERVAL, using = here(db), client = connection)]
fn take<C: pglock::AnyConnection + Speaks>(
    connection: &mut C,
    db: &TestDb,
) -> Result<(), pglock::Error> {
    connection.execute("SELECT pg_advisory_lock(1)").unwrap();
    Ok(())
}

fn an_attribute_prioritizes_its_body<D: Driver>() {
    let db = database();
    let mut blocker = db.connect();
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut driver = D::connect(&db);
    take(driver.connection(), &db).unwrap();
    blocker.batch_execute("SELECT 1").unwrap_err();
}
