//! Who of the blockers only waits ahead of the section, and who stands behind those: the CTEs between `blocker` and
//! `verdict` of `signal.rs`, and the one after it.
//!
//! | name | one row per |
//! | --- | --- |
//! | `wanted` | lock that the section waits for |
//! | `theirs` | lock that one of its blockers holds or waits for |
//! | `behind` | session that has the row for which a blocker waits at the head of the queue |
//! | `judged` | blocker, with whether it only waits; and session behind one |

use crate::model::table::TableMode;

/// The CTEs `wanted`, `theirs`, `behind` and `judged`.
///
/// Who waits for a row that several want holds a lock on it (`tuple`), for which the others wait, and itself waits for the
/// transaction that has the row. So it only waits too, and that transaction bars the way of all of them.
// Output: wanted AS MATERIALIZED (..), theirs AS MATERIALIZED (..), behind AS MATERIALIZED (..), judged AS MATERIALIZED (..)
pub(super) fn queue() -> String {
    format!(
        "wanted AS MATERIALIZED (SELECT {TAG} AS tag, l.locktype, l.mode FROM pg_catalog.pg_locks l \
         WHERE NOT l.granted AND (SELECT pg_catalog.count(*) FROM blocker) > 0 \
         AND l.pid IN (SELECT s.pid FROM pg_catalog.pg_stat_activity s, pg_catalog.unnest($1::int[]) w(pid) \
         WHERE s.pid = w.pid OR s.backend_type = 'parallel worker' AND s.leader_pid = w.pid)), \
         theirs AS MATERIALIZED (SELECT coalesce(s.leader_pid, l.pid, 0) AS pid, {TAG} AS tag, l.locktype, l.mode, l.granted \
         FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = l.pid AND s.backend_type = 'parallel worker' \
         WHERE (SELECT pg_catalog.count(*) FROM wanted) > 0 \
         AND coalesce(s.leader_pid, l.pid, 0) IN (SELECT b.pid FROM blocker b)), \
         behind AS MATERIALIZED (SELECT DISTINCT t.pid AS blocker, q.pid FROM wanted w \
         JOIN theirs t ON t.tag = w.tag AND t.granted \
         JOIN theirs x ON x.pid = t.pid AND NOT x.granted AND x.locktype = 'transactionid' \
         CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(t.pid)) q(pid) WHERE w.locktype = 'tuple'), \
         judged AS MATERIALIZED (SELECT b.pid, false AS is_behind, \
         b.pid IN (SELECT h.blocker FROM behind h) OR \
         EXISTS (SELECT FROM theirs t JOIN wanted w ON w.tag = t.tag WHERE t.pid = b.pid AND NOT t.granted) \
         AND NOT EXISTS (SELECT FROM theirs t JOIN wanted w ON w.tag = t.tag \
         WHERE t.pid = b.pid AND t.granted AND t.mode = ANY (CASE w.mode {conflicts} END)) AS only_waits FROM blocker b \
         UNION ALL SELECT DISTINCT h.pid, true, false FROM behind h WHERE h.pid NOT IN (SELECT b.pid FROM blocker b))",
        conflicts = conflicts(),
    )
}

/// The blockers. One that only waits is spared if another one bars the way that is not to be signaled: its end would win
/// nothing. One that is gone bars nothing, and one that has its grace time will be signaled.
pub(super) const DECISION: &str = "decision AS MATERIALIZED (SELECT v.pid, v.started, v.backend_type, v.application_name, \
     v.usename, v.state, v.query, v.action, CASE WHEN v.spared IS NULL AND v.only_waits AND EXISTS (SELECT FROM verdict h \
     WHERE NOT h.only_waits AND h.spared NOT IN ('gone', 'grace')) THEN 'queued' ELSE v.spared END AS spared \
     FROM verdict v WHERE NOT v.is_behind)";

/// Equal in two rows about the same lock.
const TAG: &str = "ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, \
     l.classid, l.objid, l.objsubid)::pg_catalog.text";

/// For each mode that is waited for, those that bar its way.
// Output: WHEN 'AccessShareLock' THEN ARRAY['AccessExclusiveLock'] WHEN ..
fn conflicts() -> String {
    let of = |mode: TableMode| {
        let modes = mode.conflicts().iter();
        let modes: Vec<String> = modes.map(|mode| format!("'{}'", mode.pg_locks())).collect();
        format!(
            "WHEN '{}' THEN ARRAY[{}]",
            mode.pg_locks(),
            modes.join(", ")
        )
    };
    let each: Vec<String> = TableMode::ALL.into_iter().map(of).collect();
    each.join(" ")
}
