//! Which session holds a lock.

use super::lossy::sent;
use super::parts::{THIS_DATABASE, is_lock, literal, visible_query};
use crate::model::lock_id::Key;
use crate::model::table::{TableMode, TableName};

/// The holder of the lock, our own session last: pid, application name, user, address, statement; then whether it is idle,
/// when its state changed, when its statement began, and the time now, all in seconds.
pub(crate) fn holder(key: Key) -> String {
    format!(
        "SELECT l.pid, {}, {}, pg_catalog.host(a.client_addr), {}, \
         a.state LIKE 'idle%', {}, {}, {} \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND {} \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), l.mode LIMIT 1",
        sent("a.application_name", "true"),
        sent("a.usename::pg_catalog.text", "true"),
        sent(&visible_query("a.query"), "true"),
        seconds("a.state_change"),
        seconds("a.query_start"),
        seconds("pg_catalog.clock_timestamp()"),
        is_lock(key)
    )
}

fn seconds(time: &str) -> String {
    format!("extract(epoch FROM {time})::pg_catalog.text")
}

/// The holder of a lock on one of the tables that conflicts with `mode`: the first columns of [`holder`].
pub(crate) fn table_holder(tables: &[TableName], mode: TableMode) -> String {
    let tables: Vec<String> = tables
        .iter()
        .map(|table| {
            format!(
                "pg_catalog.to_regclass({})::pg_catalog.oid",
                literal(&table.to_string())
            )
        })
        .collect();
    let modes: Vec<String> = mode
        .conflicts()
        .iter()
        .map(|mode| format!("'{}'", mode.pg_locks()))
        .collect();
    format!(
        "SELECT l.pid, {}, {}, pg_catalog.host(a.client_addr), {} \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.locktype = 'relation' \
         AND l.database = {THIS_DATABASE} \
         AND l.relation IN ({}) AND l.mode IN ({}) \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), a.xact_start LIMIT 1",
        sent("a.application_name", "true"),
        sent("a.usename::pg_catalog.text", "true"),
        sent(&visible_query("a.query"), "true"),
        tables.join(", "),
        modes.join(", ")
    )
}
