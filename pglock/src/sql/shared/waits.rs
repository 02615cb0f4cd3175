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

/// Those of the backends whose transactions others wait for, or will, as `CREATE INDEX CONCURRENTLY` does with all that may
/// see the table as it was. It waits for one after the other, so those whose turn comes are found as well: they are older
/// than the transaction that waits. Where our role may not see how old that is, each is found in its turn.
// Input:  [42, 43]
// Output: SELECT DISTINCT ours.pid FROM .. WHERE .. AND ours.pid IN (42, 43)
pub(crate) fn held_up_by(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!(
        "SELECT DISTINCT ours.pid FROM pg_catalog.pg_locks ours \
         JOIN pg_catalog.pg_locks theirs ON theirs.locktype = 'virtualxid' AND NOT theirs.granted \
         LEFT JOIN pg_catalog.pg_stat_activity o ON o.pid = ours.pid \
         LEFT JOIN pg_catalog.pg_stat_activity t ON t.pid = theirs.pid AND t.datid = o.datid \
         WHERE ours.locktype = 'virtualxid' AND ours.granted \
         AND (theirs.virtualxid = ours.virtualxid OR o.xact_start < t.xact_start) AND ours.pid IN ({})",
        pids.join(", ")
    )
}
