//! Which session holds a lock.

use super::lossy::sent;
use super::parts::{THIS_DATABASE, and_below, is_lock, literal, visible_query};
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;
use crate::model::table::{TableMode, TableName};

/// The columns of [`holder`] and [`table_holder`], in their order. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HolderColumn {
    Pid,
    ApplicationName,
    User,
    Address,
    Statement,
    BackendType,
    IsIdle,
    StateChange,
    StatementStart,
    Now,
    /// Whether it waits for the lock.
    IsQueued,
    /// Of a prepared transaction.
    Gid,
    Owner,
}

/// Who blocks the lock in this mode: its holder, our own session last, or else who waits for it first.
pub(crate) fn holder(key: Key, mode: AdvisoryMode) -> String {
    let in_the_way = match mode {
        // Whoever holds it blocks, so nobody blocks by waiting alone.
        AdvisoryMode::Exclusive => "l.granted",
        AdvisoryMode::Shared => "l.mode = 'ExclusiveLock'",
    };
    format!(
        "{} WHERE {in_the_way} AND {} ORDER BY l.pid = pg_catalog.pg_backend_pid(), NOT l.granted, l.waitstart, l.mode LIMIT 1",
        holders(),
        is_lock(key)
    )
}

/// The same for a lock on one of the tables, or on what is locked with it: partitions, children, the tables of a view.
pub(crate) fn table_holder(tables: &[TableName], mode: TableMode) -> String {
    let tables: Vec<String> = tables
        .iter()
        .map(|table| format!("pg_catalog.to_regclass({})", literal(&table.to_string())))
        .collect();
    let modes: Vec<String> = mode
        .conflicts()
        .iter()
        .map(|mode| format!("'{}'", mode.pg_locks()))
        .collect();
    format!(
        "{} WHERE l.locktype = 'relation' \
         AND l.database = {THIS_DATABASE} \
         AND l.relation IN ({}) AND l.mode IN ({}) \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), NOT l.granted, l.waitstart, a.xact_start LIMIT 1",
        holders(),
        and_below(&format!("ARRAY[{}]::pg_catalog.oid[]", tables.join(", "))),
        modes.join(", ")
    )
}

/// The sessions and prepared transactions with the locks `l`. A prepared transaction has no pid, and is found by its own
/// transaction, which it holds locked.
// Output: SELECT l.pid, .. FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
//         LEFT JOIN LATERAL (SELECT p.gid, p.owner FROM ..) prepared ON true
fn holders() -> String {
    let here = |text: &str| sent(text, "true");
    format!(
        "SELECT l.pid, {}, {}, pg_catalog.host(a.client_addr), {}, a.backend_type, a.state LIKE 'idle%', {}, {}, {}, NOT l.granted, {}, {} \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN LATERAL (SELECT p.gid, p.owner FROM pg_catalog.pg_locks x \
         JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid \
         WHERE l.pid IS NULL AND x.virtualtransaction = l.virtualtransaction) prepared ON true",
        here("a.application_name"),
        here("a.usename::pg_catalog.text"),
        here(&visible_query("a.query")),
        seconds("a.state_change"),
        seconds("a.query_start"),
        seconds("pg_catalog.clock_timestamp()"),
        here("prepared.gid"),
        here("prepared.owner::pg_catalog.text"),
    )
}

fn seconds(time: &str) -> String {
    format!("extract(epoch FROM {time})::pg_catalog.text")
}
