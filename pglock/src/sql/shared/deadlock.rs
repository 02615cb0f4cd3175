//! Deadlocks through sessions that many locks share.
//!
//! Postgres sees who waits for a session, but not that the holder of one lock of a shared session waits on another session.
//! So a shared session takes a *marker* for each lock whose holder waits: a shared lock whose key is a hash of the lock and
//! of the backend that waits. All sessions that see a wait for the lock, the marker and the backend can follow the edge.

use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;
use crate::sql::Rows;

/// The OID of the database of this session, without a look at `pg_database`: that is locked in the server's lock table, and
/// where this is full, a marker could not be dropped.
const OWN_DATABASE: &str =
    "(SELECT datid FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))";

/// A lock whose holder waits on the backend `waits_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Marker {
    pub(crate) key: Key,
    pub(crate) mode: AdvisoryMode,
    pub(crate) waits_on: i32,
}

impl Marker {
    /// The key of the marker.
    // Input:  Marker { key: Pair(1, 2), mode: Exclusive, waits_on: 42 }
    // Output: pg_catalog.hashtextextended(pg_catalog.format('pglock:%s:1:2:2:X:42', (SELECT datid ..)) COLLATE pg_catalog."C", 0)
    fn hash(self) -> String {
        let (classid, objid) = self.key.pg_locks_columns();
        let mode = match self.mode {
            AdvisoryMode::Exclusive => 'X',
            AdvisoryMode::Shared => 'S',
        };
        format!(
            "pg_catalog.hashtextextended(pg_catalog.format('pglock:%s:{classid}:{objid}:{}:{mode}:{}', {OWN_DATABASE}) \
             COLLATE pg_catalog.\"C\", 0)",
            self.key.objsubid(),
            self.waits_on
        )
    }
}

/// Takes markers. One that is not granted is missing: its key is that of another lock.
pub(crate) fn place(markers: &[Marker]) -> String {
    each(markers, "pg_try_advisory_lock_shared")
}

/// Drops markers.
pub(crate) fn drop_all(markers: &[Marker]) -> String {
    each(markers, "pg_advisory_unlock_shared")
}

fn each(markers: &[Marker], function: &str) -> String {
    let calls: Vec<String> = markers
        .iter()
        .map(|marker| format!("SELECT pg_catalog.{function}({})", marker.hash()))
        .collect();
    calls.join("; ")
}

/// Who waits for whom, as far as it can be followed from the backend `waiter`: one row for each edge.
pub(crate) fn edges(waiter: i32) -> String {
    format!(
        "\
WITH RECURSIVE
advisory AS MATERIALIZED (
    SELECT database, classid, objid, objsubid, mode, pid, granted, waitstart
    FROM pg_catalog.pg_locks WHERE locktype = 'advisory'
),
marker AS MATERIALIZED (
    SELECT (classid::bigint << 32) | objid::bigint AS key
    FROM advisory WHERE granted AND objsubid = 1 AND mode = 'ShareLock'
),
waiting AS MATERIALIZED (
    SELECT database, classid, objid, objsubid, mode, pid, waitstart FROM advisory WHERE NOT granted
),
marked AS MATERIALIZED (
    SELECT DISTINCT w.pid AS source, on_behalf.pid AS target, w.classid, w.objid, w.objsubid
    FROM waiting w CROSS JOIN waiting on_behalf CROSS JOIN (VALUES ('X'), ('S')) AS held (mode)
    WHERE (held.mode = 'X' OR w.mode = 'ExclusiveLock')
    AND pg_catalog.hashtextextended(pg_catalog.format('pglock:%s:%s:%s:%s:%s:%s',
        w.database, w.classid, w.objid, w.objsubid, held.mode, on_behalf.pid) COLLATE pg_catalog.\"C\", 0)
        IN (SELECT key FROM marker)
),
reached (pid) AS (
    SELECT {waiter}
    UNION
    SELECT next.pid FROM reached CROSS JOIN LATERAL (
        SELECT pg_catalog.unnest(pg_catalog.pg_blocking_pids(reached.pid)) AS pid
        UNION ALL
        SELECT target FROM marked WHERE source = reached.pid
    ) AS next WHERE next.pid <> 0
)
SELECT DISTINCT edge.source, edge.target, edge.classid, edge.objid, edge.objsubid,
    (SELECT extract(epoch FROM pg_catalog.max(waitstart)) FROM waiting WHERE pid = edge.target)::pg_catalog.text
FROM (
    SELECT reached.pid AS source, blocking.pid AS target, NULL AS classid, NULL AS objid, NULL AS objsubid
    FROM reached CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(reached.pid)) AS blocking (pid)
    UNION ALL
    SELECT source, target, classid::pg_catalog.text, objid::pg_catalog.text, objsubid::pg_catalog.text
    FROM marked WHERE source IN (SELECT pid FROM reached)
) AS edge"
    )
}

/// A wait for another backend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeadlockEdge {
    pub(crate) source: i32,
    pub(crate) target: i32,
    /// The lock that `source` waits for, where only a marker shows that `target` waits for its holder: `classid`, `objid`
    /// and `objsubid`.
    pub(crate) marked: Option<(u32, u32, u8)>,
    /// When `target` began to wait, in seconds since 1970.
    pub(crate) target_since: f64,
}

/// Reads the rows of [`edges`].
pub(crate) fn read_edges(rows: &Rows) -> Vec<DeadlockEdge> {
    rows.iter()
        .filter_map(|row| {
            Some(DeadlockEdge {
                source: row.parsed(0)?,
                target: row.parsed(1)?,
                marked: row
                    .parsed(2)
                    .and_then(|classid| Some((classid, row.parsed(3)?, row.parsed(4)?))),
                target_since: row.parsed(5).unwrap_or(0.0),
            })
        })
        .collect()
}
