//! Table locks.

use std::time::{Duration, Instant};

use pglock::{ErrorKind, TableMode};
use pglock_tests::{TestDb, database};
use tokio_postgres::error::SqlState;

use super::driver::{Driver, Speaks};
use super::on_every_driver;

on_every_driver! {
    tables_are_locked_until_the_transaction_ends
    busy_tables_leave_the_transaction_usable_and_name_the_holder
    an_unknown_table_leaves_the_transaction_usable
}

/// Holds what texts are parted and quoted by.
const ODD: &str = r#"a; b"c $pglock$; $_pglock$'d"#;

fn with_tables() -> TestDb {
    let db = database();
    db.execute(&format!(
        r#"CREATE TABLE orders (); CREATE TABLE "{}" ()"#,
        ODD.replace('"', "\"\"")
    ));
    db
}

/// The granted locks on tables, as `relation mode`, seen from another session.
fn table_locks(db: &TestDb) -> Vec<String> {
    let rows = db.connect().query(
        "SELECT c.relname::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         WHERE l.locktype = 'relation' AND l.granted AND c.relkind = 'r' AND l.relation >= 16384 ORDER BY 1",
        &[],
    );
    let spelled =
        |row: &postgres::Row| format!("{} {}", row.get::<_, String>(0), row.get::<_, String>(1));
    rows.unwrap().iter().map(spelled).collect()
}

fn tables_are_locked_until_the_transaction_ends<D: Driver>() {
    let db = with_tables();
    let mut driver = D::connect(&db);
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
        driver.transaction(|tx| {
            tx.execute("SET LOCAL lock_timeout = '7s'").unwrap();
            let tables = pglock::tables([("public", ODD), ("public", "orders")]);
            tables
                .mode(TableMode::Share)
                .timeout(timeout)
                .lock(tx)
                .unwrap();
            assert_eq!(
                table_locks(&db),
                [format!("{ODD} ShareLock"), "orders ShareLock".to_owned()]
            );
            assert_eq!(tx.lock_timeout(), "7s");
        });
        assert!(table_locks(&db).is_empty());
    }
}

fn busy_tables_leave_the_transaction_usable_and_name_the_holder<D: Driver>() {
    let db = with_tables();
    let (mut holder, mut driver) = (D::connect_as(&db, "holder"), D::connect(&db));
    holder.transaction(|held| {
        pglock::table("orders")
            .mode(TableMode::RowShare)
            .lock(held)
            .unwrap();
        driver.transaction(|tx| {
            tx.execute("SET LOCAL lock_timeout = '7s'; CREATE TABLE made_before ()")
                .unwrap();
            assert!(!pglock::table("orders").try_lock(tx).unwrap());
            let row_share = pglock::table("orders").mode(TableMode::RowShare);
            assert!(row_share.try_lock(tx).unwrap());
            for timeout in [Duration::ZERO, Duration::from_millis(50)] {
                let began = Instant::now();
                let error = pglock::table("orders")
                    .timeout(timeout)
                    .lock(tx)
                    .unwrap_err();
                assert!(began.elapsed() >= timeout);
                assert_eq!(error.kind(), ErrorKind::Busy, "{error}: {error:?}");
                assert_eq!(error.holder().unwrap().application_name, "holder");
                assert!(
                    !pglock::table("orders")
                        .timeout(timeout)
                        .try_lock(tx)
                        .unwrap()
                );
            }
            assert_eq!(tx.lock_timeout(), "7s");
        });
    });
    assert_eq!(
        driver.connection().text("to_regclass('made_before')"),
        "made_before"
    );
}

fn an_unknown_table_leaves_the_transaction_usable<D: Driver>() {
    let db = with_tables();
    let mut driver = D::connect(&db);
    driver.transaction(|tx| {
        let error = pglock::table("Orders").lock(tx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}: {error:?}");
        assert_eq!(error.sql_state(), Some(&SqlState::UNDEFINED_TABLE));
        assert!(pglock::table("orders").try_lock(tx).unwrap());
    });
}
