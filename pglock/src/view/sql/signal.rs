//! Signals the sessions behind locks, and says of each what was done or why it was left alone.

use super::{Entity, LocksQuery, ctes, found};
use crate::sql::parts::{
    CLEAR_ACTIVITY_SNAPSHOT, may_signal, microseconds, upper_snake, visible_query,
};
use crate::sql::{Statement, Values, lossy};

/// The signal for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Cancel,
    Terminate,
}

/// The columns of a session that was signaled or spared, in the order of every statement that signals.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SignalColumn {
    Pid,
    Started,
    BackendType,
    ApplicationName,
    User,
    State,
    Query,
    Action,
    /// Why it is spared, as a word; NULL if it is not.
    Spared,
    /// Whether the server found the session when it was signaled; NULL for one that is spared.
    Signaled,
    /// Whether it is the session that asks. Only of [`signal`].
    IsOwn,
}

/// The columns but for the last two, of a CTE `v` that has a `pid`, the columns of [`session`], `action` and `spared`.
pub(crate) const VERDICT: &str = "v.pid::pg_catalog.text, v.started::pg_catalog.text, v.backend_type, \
     v.application_name, v.usename, v.state, v.query, v.action, v.spared";

/// Whether the session `s` runs no statement, so that there is nothing to cancel. Also one that is idle in a transaction.
pub(crate) const IS_IDLE: &str = "s.state LIKE 'idle%'";

/// What is told of the session `s` of `pg_stat_activity`.
// Output: (..)::bigint AS started, pg_catalog.upper(..) AS backend_type, .. AS application_name, .. AS usename, .. AS state, .. AS query
pub(crate) fn session() -> String {
    // Sent so that nothing can fail after the session has been signaled.
    let sent = |text: &str| lossy::sent(text, "s.datname = pg_catalog.current_database()");
    format!(
        "{} AS started, {} AS backend_type, {} AS application_name, {} AS usename, {} AS state, {} AS query",
        microseconds("s.backend_start"),
        upper_snake("s.backend_type"),
        sent("s.application_name"),
        sent("s.usename::pg_catalog.text"),
        upper_snake("s.state"),
        sent(&visible_query("s.query")),
    )
}

/// Signals the sessions of the rows that [`fetch`](super::fetch) would list, or their blockers: a row for each, with the
/// columns of [`SignalColumn`]. Our own session is not signaled here; with `own`, it is not spared either.
///
/// Sessions that have ended, or that our role may not signal, are left alone: the server would raise an error after it had
/// signaled others. So are those that run no statement, of a cancel. `pg_stat_activity` is read twice, so that a new session with a reused pid is not signaled.
// Output: WITH activity AS .., lock AS .., found AS .., verdict AS (..) SELECT v.pid::pg_catalog.text, ..,
//         (CASE WHEN v.spared IS NULL THEN CASE WHEN v.is_own THEN true ELSE pg_catalog.pg_cancel_backend(v.pid) END END)::pg_catalog.text,
//         v.is_own::pg_catalog.text FROM verdict v ORDER BY v.pid
pub(crate) fn signal(
    query: &LocksQuery,
    blocked: bool,
    whom: Entity,
    signal: Signal,
    own: bool,
) -> Statement {
    let mut values = Values::default();
    let ctes = ctes(query, blocked, &mut values);
    let of_session = match whom {
        Entity::Blocker => "x.pid, b.backend_start",
        Entity::Lock | Entity::Activity => "l.pid, a.backend_start",
    };
    let found = found(of_session, query, blocked, &mut values);
    let (action, signal, nothing_to_do) = match signal {
        Signal::Cancel => ("cancel", "pg_catalog.pg_cancel_backend", IS_IDLE),
        Signal::Terminate => ("terminate", "pg_catalog.pg_terminate_backend", "false"),
    };
    let sql = format!(
        "WITH {ctes}, found AS MATERIALIZED (SELECT DISTINCT * FROM ({found}) f(pid, backend_start)), \
         verdict AS MATERIALIZED ( \
         SELECT f.pid, {session}, '{action}' AS action, f.pid = pg_catalog.pg_backend_pid() AS is_own, CASE \
         WHEN f.pid = 0 THEN 'prepared' \
         WHEN s.pid IS NULL THEN 'gone' \
         WHEN f.pid = pg_catalog.pg_backend_pid() THEN CASE WHEN NOT {own} THEN 'own session' END \
         WHEN NOT {may} THEN 'denied' WHEN {nothing_to_do} THEN 'idle' END AS spared \
         FROM found f CROSS JOIN (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) me \
         LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = f.pid AND s.backend_start IS NOT DISTINCT FROM f.backend_start \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.usesysid \
         WHERE (SELECT CASE WHEN pg_catalog.count(*) >= 0 THEN {CLEAR_ACTIVITY_SNAPSHOT} END FROM found) = '') \
         SELECT {VERDICT}, \
         (CASE WHEN v.spared IS NULL THEN CASE WHEN v.is_own THEN true ELSE {signal}(v.pid) END END)::pg_catalog.text, \
         v.is_own::pg_catalog.text FROM verdict v ORDER BY v.pid",
        session = session(),
        may = may_signal("me.rolsuper", "r"),
    );
    (sql, values.into_inner())
}
