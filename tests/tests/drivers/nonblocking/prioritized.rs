//! Prioritized sections.

use std::time::Duration;

use pglock::{AnyAsyncConnection, Database};
use pglock_tests::{TestDb, database};

use super::{Ask, Begin, Driver, for_each_driver, shown};

for_each_driver! {
    blockers_are_terminated
    in_a_transaction_too
    an_attribute_prioritizes_its_body
}

const INTERVAL: Duration = Duration::from_millis(100);

fn here(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

fn prioritize(db: &TestDb) -> pglock::Prioritize {
    pglock::prioritize().interval(INTERVAL).using(here(db))
}

/// Another session that has the lock.
async fn blocker<D: Driver>(db: &TestDb, statements: &str) -> D::Session {
    let mut session = D::open(db).await;
    D::connection(&mut session).ask(statements).await.unwrap();
    session
}

async fn was_ended<D: Driver>(mut blocker: D::Session) {
    let connection = D::connection(&mut blocker);
    connection.ask("SELECT 1").await.unwrap_err();
}

async fn blockers_are_terminated<D: Driver>() {
    let db = database();
    let blocker = blocker::<D>(&db, "SELECT pg_advisory_lock(1)").await;
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let section = prioritize(&db).timeout(Duration::from_secs(20));
    let mut section = section.on_async(connection).await.unwrap();
    assert_eq!(shown(&mut *section, "lock_timeout").await, "20s");
    section.ask("SELECT pg_advisory_lock(1)").await.unwrap();
    assert_eq!(section.finish().await.unwrap().signaled().len(), 1);
    assert_eq!(shown(connection, "lock_timeout").await, "0");
    was_ended::<D>(blocker).await;
}

async fn in_a_transaction_too<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let blocker = blocker::<D>(&db, "BEGIN; LOCK TABLE orders").await;
    let mut session = D::open(&db).await;
    let mut tx = D::connection(&mut session).begin_transaction().await;
    let mut section = prioritize(&db).on_async(&mut *tx).await.unwrap();
    let table = pglock::table("orders");
    table.lock_async(&mut section).await.unwrap();
    assert_eq!(section.finish().await.unwrap().signaled().len(), 1);
    was_ended::<D>(blocker).await;
}

#[pglock::prioritize(interval = INTERVAL, using = here(db), client = connection)]
async fn take<C: AnyAsyncConnection + Ask>(
    connection: &mut C,
    db: &TestDb,
) -> Result<(), pglock::Error> {
    connection.ask("SELECT pg_advisory_lock(1)").await.unwrap();
    Ok(())
}

async fn an_attribute_prioritizes_its_body<D: Driver>() {
    let db = database();
    let blocker = blocker::<D>(&db, "SELECT pg_advisory_lock(1)").await;
    let mut session = D::open(&db).await;
    take(D::connection(&mut session), &db).await.unwrap();
    was_ended::<D>(blocker).await;
}
