//! Which session holds a lock.

use super::parts::{THIS_DATABASE, arguments, is_lock, literal};
use super::session::mark;
use crate::model::lock_id::Key;
use crate::model::table::{TableMode, TableName};

/// The holder of the lock, our own session last: pid, application name, user, address, query, when it was acquired, and the
/// time now.
///
/// The time is known while the holder is idle after the statement that acquired the lock, and from pglock's heartbeats.
pub(crate) fn holder(key: Key) -> String {
    let taken_by = arguments(key).replace('\'', "''");
    let mark = mark(key);
    format!(
        "SELECT l.pid, a.application_name, a.usename, pg_catalog.host(a.client_addr), a.query, \
         (CASE WHEN a.state LIKE 'idle%' AND pg_catalog.strpos(a.query, '_lock') > 0 AND pg_catalog.strpos(a.query, '({taken_by})') > 0 \
         THEN extract(epoch FROM a.state_change)::double precision \
         WHEN a.query LIKE '/* pglock holds %' THEN extract(epoch FROM a.query_start)::double precision \
         - substring(a.query FROM ' {mark} ([0-9]+) ms')::double precision / '1000'::double precision END)::pg_catalog.text, \
         extract(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.text \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND {} \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), l.mode LIMIT 1",
        is_lock(key)
    )
}

/// The holder of a lock on one of the tables that conflicts with `mode`: like [`holder`], without the time.
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
        "SELECT l.pid, a.application_name, a.usename, pg_catalog.host(a.client_addr), a.query, NULL \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.locktype = 'relation' \
         AND l.database = {THIS_DATABASE} \
         AND l.relation IN ({}) AND l.mode IN ({}) \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), a.xact_start LIMIT 1",
        tables.join(", "),
        modes.join(", ")
    )
}
