//! Table locks in transactions.

mod modes;
mod nonblocking;
mod waits;

use pglock::{Model, TableMode};
use pglock_tests::{TestDb, database};
use postgres::Client;

struct Order;

impl Model for Order {
    const TABLE: &'static str = "orders";
}

fn with_tables() -> TestDb {
    let db = database();
    db.execute(
        r#"CREATE TABLE orders (id int); CREATE TABLE "Order" (id int); CREATE TABLE "weird""na.me" (id int);
           CREATE TABLE "Überweisung 表" (id int); CREATE SCHEMA billing; CREATE TABLE billing.invoices (id int)"#,
    );
    db
}

/// The granted locks on ordinary tables, as `relation mode`, seen from another session.
fn table_locks(observer: &mut Client) -> Vec<String> {
    let rows = observer.query(
        "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         WHERE l.locktype = 'relation' AND l.granted AND c.relkind = 'r' AND l.relation >= 16384 ORDER BY 1, 2",
        &[],
    );
    rows.unwrap()
        .iter()
        .map(|row| format!("{} {}", row.get::<_, String>(0), row.get::<_, String>(1)))
        .collect()
}

#[test]
fn several_tables_are_locked_by_one_statement_and_odd_names_are_quoted() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    let mut tx = client.transaction().unwrap();
    pglock::tables([Order::TABLE, "Order", "billing.invoices", "Überweisung 表"])
        .lock(&mut tx)
        .unwrap();
    assert!(
        pglock::table(("public", "weird\"na.me"))
            .try_lock(&mut tx)
            .unwrap()
    );
    assert_eq!(
        table_locks(&mut observer),
        [
            "\"Order\" AccessExclusiveLock",
            "\"weird\"\"na.me\" AccessExclusiveLock",
            "\"Überweisung 表\" AccessExclusiveLock",
            "billing.invoices AccessExclusiveLock",
            "orders AccessExclusiveLock",
        ]
    );
    tx.rollback().unwrap();
    let mut tx = client.transaction().unwrap();
    pglock::model::<Order>()
        .mode(TableMode::Share)
        .lock(&mut tx)
        .unwrap();
    assert_eq!(table_locks(&mut observer), ["orders ShareLock"]);
}

#[test]
fn a_lock_ends_with_the_savepoint_that_is_rolled_back_or_with_the_transaction() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    let mut tx = client.transaction().unwrap();
    let mut inner = tx.transaction().unwrap();
    pglock::table("orders").lock(&mut inner).unwrap();
    assert_eq!(table_locks(&mut observer), ["orders AccessExclusiveLock"]);
    inner.rollback().unwrap();
    assert!(table_locks(&mut observer).is_empty());
    let mut inner = tx.transaction().unwrap();
    pglock::table("orders").lock(&mut inner).unwrap();
    inner.commit().unwrap();
    assert_eq!(table_locks(&mut observer), ["orders AccessExclusiveLock"]);
    tx.commit().unwrap();
    assert!(table_locks(&mut observer).is_empty());
}

#[test]
fn what_cannot_be_locked_is_distinguished() {
    let db = with_tables();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let none: [&str; 0] = [];
    assert!(pglock::tables(none).lock(&mut tx).unwrap_err().is_config());
    assert!(pglock::table("").try_lock(&mut tx).unwrap_err().is_config());
    let error = pglock::table("order").lock(&mut tx).unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(error.sql_state().unwrap().code(), "42P01");
    let error = pglock::table(r#"orders"; DROP TABLE orders; --"#)
        .try_lock(&mut tx)
        .unwrap_err();
    assert_eq!(error.sql_state().unwrap().code(), "42P01");
    // Still usable after each of them.
    assert!(pglock::table("orders").try_lock(&mut tx).unwrap());
    tx.batch_execute("SELECT 1 / 0").unwrap_err();
    assert!(
        pglock::table("orders")
            .try_lock(&mut tx)
            .unwrap_err()
            .is_config()
    );
}
