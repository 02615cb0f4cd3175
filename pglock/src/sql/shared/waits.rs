//! Whom waits in the server harm.

use crate::model::lock_id::Key;
use crate::sql::parts::is_lock;

/// How many sessions wait for a key.
pub(crate) fn count(key: Key) -> String {
    format!(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE NOT granted AND {}",
        is_lock(key)
    )
}

/// Those of the backends whose transactions others wait for, as `CREATE INDEX CONCURRENTLY` does with all that may see the
/// table as it was.
// Input:  [42, 43]
// Output: SELECT DISTINCT ours.pid FROM .. WHERE .. AND ours.pid IN (42, 43)
pub(crate) fn held_up_by(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!(
        "SELECT DISTINCT ours.pid FROM pg_catalog.pg_locks ours \
         JOIN pg_catalog.pg_locks theirs ON theirs.virtualxid = ours.virtualxid \
         WHERE ours.locktype = 'virtualxid' AND ours.granted AND theirs.locktype = 'virtualxid' AND NOT theirs.granted \
         AND ours.pid IN ({})",
        pids.join(", ")
    )
}
