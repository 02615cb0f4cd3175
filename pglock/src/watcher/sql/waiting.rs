//! Which of the sections' sessions may be waiting for a lock.

use super::{arrays, same_start};
use crate::model::backend::Backend;
use crate::sql::parts::CLEAR_ACTIVITY_SNAPSHOT;
use crate::sql::{Rows, Statement};

/// The columns of [`waiting`].
#[derive(Clone, Copy, Debug)]
enum WaitingColumn {
    /// The position among the sessions that were asked about, from 1 on.
    Place,
    IsHere,
    MayWait,
}

/// One row per session that the server has: its position in `backends`, whether it is in the watcher's database, and
/// whether it may be waiting for a lock.
///
/// It reads sessions only, which is cheap. Reading locks would stop the server's lock manager. A state that our role may
/// not see counts as a wait. Then the statement that looks for blockers decides.
// Output: WITH activity AS MATERIALIZED (SELECT s.* FROM pg_catalog.pg_stat_activity s
//         WHERE (SELECT pg_catalog.pg_stat_clear_snapshot()::pg_catalog.text) = '')
//         SELECT w.place::pg_catalog.text, (s.datname = pg_catalog.current_database())::pg_catalog.text,
//         (EXISTS (SELECT FROM activity m WHERE (m.pid = w.pid OR m.leader_pid = w.pid)
//         AND (m.wait_event_type = 'Lock' OR m.backend_start IS NULL)))::pg_catalog.text
//         FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY w(pid, started, place)
//         JOIN activity s ON s.pid = w.pid AND coalesce(.. = w.started, true)
pub(in crate::watcher) fn waiting(backends: &[Backend]) -> Statement {
    // With several arrays `unnest` is syntax and not a function, so it takes no schema.
    let sql = format!(
        "WITH activity AS MATERIALIZED (SELECT s.* FROM pg_catalog.pg_stat_activity s WHERE (SELECT {CLEAR_ACTIVITY_SNAPSHOT}) = '') \
         SELECT w.place::pg_catalog.text, (s.datname = pg_catalog.current_database())::pg_catalog.text, \
         (EXISTS (SELECT FROM activity m WHERE (m.pid = w.pid OR m.leader_pid = w.pid) \
         AND (m.wait_event_type = 'Lock' OR m.backend_start IS NULL)))::pg_catalog.text \
         FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY w(pid, started, place) \
         JOIN activity s ON s.pid = w.pid AND {}",
        same_start("s.backend_start", "w.started"),
    );
    (sql, arrays::backends(backends).into())
}

/// The state of a session.
pub(in crate::watcher) struct SectionActivity {
    /// Whether it is in the watcher's database.
    pub(in crate::watcher) is_here: bool,
    pub(in crate::watcher) may_wait: bool,
}

/// Reads the answer of [`waiting`]: one entry per session, in order; `None` for those that the server does not have.
pub(in crate::watcher) fn activities(rows: &Rows, sessions: usize) -> Vec<Option<SectionActivity>> {
    let mut seen: Vec<_> = std::iter::repeat_with(|| None).take(sessions).collect();
    for row in rows.iter() {
        let is_true = |column: WaitingColumn| row.text(column as usize) == Some("true");
        let place: Option<usize> = row.parsed(WaitingColumn::Place as usize);
        let place = place.and_then(|place| place.checked_sub(1));
        if let Some(seen) = place.and_then(|place| seen.get_mut(place)) {
            *seen = Some(SectionActivity {
                is_here: is_true(WaitingColumn::IsHere),
                may_wait: is_true(WaitingColumn::MayWait),
            });
        }
    }
    seen
}
