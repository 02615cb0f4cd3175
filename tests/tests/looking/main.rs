//! What pglock says of those who hold locks and wait for them, where Postgres makes it hard to see.

mod encodings;
mod holders;
mod relations;
mod row_waits;
mod workers;

use std::time::Duration;

use pglock::{Database, Error, Holder};
use pglock_tests::TestDb;
use postgres::Client;

/// The error of an advisory lock that is busy, on a connection of the caller's.
fn busy_on(client: &mut Client, key: i64) -> Error {
    let lock = pglock::advisory(key).timeout(Duration::ZERO);
    lock.on(client).acquire().unwrap_err()
}

/// The same on a session of pglock's own.
fn busy(database: &Database, key: i64) -> Error {
    let lock = pglock::advisory(key).timeout(Duration::ZERO);
    lock.using(database).acquire().unwrap_err()
}

/// The error of a table that is busy.
fn busy_table(client: &mut Client, table: pglock::Tables) -> Error {
    let mut tx = client.transaction().unwrap();
    let table = table.timeout(Duration::from_millis(50));
    table.lock(&mut tx).unwrap_err()
}

fn holder(error: &Error) -> &Holder {
    assert!(error.is_busy(), "{error}");
    error.holder().unwrap_or_else(|| panic!("{error}"))
}

fn here(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}
