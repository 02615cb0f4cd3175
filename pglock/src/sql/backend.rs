//! Asking a session for its backend, and reading one from a row.

use super::parts::{CLEAR_ACTIVITY_SNAPSHOT, microseconds};
use super::rows::Row;
use crate::model::backend::Backend;

/// The backend of the session that runs it, for [`read`]. It also clears the snapshot of `pg_stat_activity`, which a
/// transaction keeps: later queries in it would read old data.
// Output: WITH me AS MATERIALIZED (SELECT s.pid::pg_catalog.text, (extract(epoch FROM s.backend_start) * 1000000::numeric)::bigint
//         ::pg_catalog.text AS started FROM pg_catalog.pg_stat_activity s WHERE s.pid = pg_catalog.pg_backend_pid())
//         SELECT me.pid, me.started, pg_catalog.pg_stat_clear_snapshot()::pg_catalog.text FROM me
pub(crate) fn own_backend() -> String {
    format!(
        "WITH me AS MATERIALIZED (SELECT s.pid::pg_catalog.text, {}::pg_catalog.text AS started \
         FROM pg_catalog.pg_stat_activity s WHERE s.pid = pg_catalog.pg_backend_pid()) \
         SELECT me.pid, me.started, {CLEAR_ACTIVITY_SNAPSHOT} FROM me",
        microseconds("s.backend_start")
    )
}

/// Reads the first two columns: the pid, and the start in [microseconds](super::parts::microseconds).
pub(crate) fn read(row: &Row<'_>) -> Option<Backend> {
    Some(Backend {
        pid: row.parsed(0)?,
        started: row.parsed(1),
    })
}
