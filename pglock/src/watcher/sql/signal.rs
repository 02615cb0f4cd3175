//! Signals the sessions that block a section.
//!
//! They are found, judged and signaled in one statement, so that no session takes the place of another in between. Its
//! parts are the CTEs of this file:
//!
//! | name | one row per |
//! | --- | --- |
//! | `found` | session that the filters match; only if there are filters |
//! | `me` | our role, with whether it is a superuser |
//! | `own` | session that must never be signaled |
//! | `before` | session that was canceled before, with whether its grace time is over |
//! | `blocker` | session that blocks the waiting one |
//! | `wanted`, `theirs`, `behind`, `judged` | see `queue.rs` |
//! | `verdict` | session that is judged, with what to do to it, or why it is spared |
//! | `decision` | blocker, with the same; spared also if its end would win nothing |

use super::queue::{DECISION, queue};
use super::{arrays, same_start};
use crate::model::backend::Backend;
use crate::sql::parts::{CLEAR_ACTIVITY_SNAPSHOT, may_signal};
use crate::sql::{Statement, Values};
use crate::view::sql::{IS_IDLE, LocksQuery, VERDICT, blockers_found, session};
use crate::watcher::policy::{Escalation, SignalPolicy};

/// A session that was canceled before: see [`Escalation::Escalate`].
pub(in crate::watcher) struct Canceled {
    pub(in crate::watcher) backend: Backend,
    /// Whether its grace time is over.
    pub(in crate::watcher) overdue: bool,
}

/// Signals the sessions that block `waiting`: one row per blocker, with what was done or why it was left alone.
///
/// Those of `own` are never signaled; one of `before` is signaled again only if it is overdue. Sessions that are gone, or
/// that our role may not signal, are left alone: for those the server would raise an error, after it has signaled others.
// Output: WITH me AS .., own AS .., before AS .., blocker AS .., judged AS .., verdict AS .., decision AS .. SELECT v.pid::pg_catalog.text, ..
pub(in crate::watcher) fn signal_blockers(
    waiting: Backend,
    policy: &SignalPolicy,
    own: &[Backend],
    before: &[Canceled],
) -> Statement {
    let mut values = Values::from(parameters(waiting, policy, own, before));
    let (found, left_out) = filters(waiting, policy, &mut values);
    let sql = format!(
        "WITH {found}{ME}, {OWN}, {BEFORE}, {}, {}, {}, {DECISION} {}",
        blockers(),
        queue(),
        verdicts(&left_out),
        signal()
    );
    (sql, values.into_inner())
}

/// The parameters `$1` to `$11`; those of the filters follow.
fn parameters(
    waiting: Backend,
    policy: &SignalPolicy,
    own: &[Backend],
    before: &[Canceled],
) -> Vec<String> {
    let [waiting_pid, waiting_start] = arrays::backends(&[waiting]);
    let [own_pids, own_starts] = arrays::backends(own);
    let canceled: Vec<Backend> = before.iter().map(|before| before.backend).collect();
    let [canceled_pids, canceled_starts] = arrays::backends(&canceled);
    let overdue = arrays::booleans(before.iter().map(|before| before.overdue));
    let escalation = match policy.escalation {
        Escalation::Terminate => "terminate",
        Escalation::Cancel => "cancel",
        Escalation::Escalate { .. } => "escalate",
    };
    let applications = policy.never_applications.iter();
    vec![
        waiting_pid,
        waiting_start,
        own_pids,
        own_starts,
        canceled_pids,
        canceled_starts,
        overdue,
        escalation.to_owned(),
        policy.dry_run.to_string(),
        arrays::texts(applications.flat_map(|name| as_shown(name))),
        arrays::texts(&policy.never_users),
    ]
}

/// The CTEs of the filters, each followed by a comma, and the condition that a blocker does not match them.
// Output: activity AS .., lock AS .., found AS MATERIALIZED (..),
//         b.pid NOT IN (SELECT f.pid FROM found f)
fn filters(waiting: Backend, policy: &SignalPolicy, values: &mut Values) -> (String, String) {
    if policy.conditions.is_empty() {
        return (String::new(), "false".to_owned());
    }
    let query = LocksQuery {
        waiting: Some(vec![waiting.pid]),
        conditions: policy.conditions.clone(),
        ..LocksQuery::default()
    };
    let found = blockers_found(&query, values);
    (
        format!("{found}, "),
        "b.pid NOT IN (SELECT f.pid FROM found f)".to_owned(),
    )
}

const ME: &str = "me AS MATERIALIZED (\
     SELECT r.rolsuper AS super FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)";

// With several arrays `unnest` is syntax and not a function, so it takes no schema.
const OWN: &str = "own AS MATERIALIZED (\
     SELECT o.pid, o.started FROM unnest($3::int[], $4::bigint[]) o(pid, started))";

const BEFORE: &str = "before AS MATERIALIZED (\
     SELECT h.pid, h.started, h.overdue \
     FROM unnest($5::int[], $6::bigint[], $7::boolean[]) h(pid, started, overdue))";

// Output: blocker AS MATERIALIZED (SELECT DISTINCT p.pid FROM unnest($1::int[], $2::bigint[]) w(pid, started)
//         JOIN pg_catalog.pg_stat_activity s ON s.pid = w.pid AND coalesce(.. = w.started, true)
//         CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) p(pid))
fn blockers() -> String {
    format!(
        "blocker AS MATERIALIZED (\
         SELECT DISTINCT p.pid FROM unnest($1::int[], $2::bigint[]) w(pid, started) \
         JOIN pg_catalog.pg_stat_activity s ON s.pid = w.pid AND {same_waiting} \
         CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) p(pid))",
        same_waiting = same_start("s.backend_start", "w.started"),
    )
}

/// What to do to the session `s` of the blocker `b`. `h` is its row in `before`. One that idles has nothing to cancel; one
/// that was canceled idles until its client goes on, for which it has the grace time.
// Output: CASE $8::pg_catalog.text WHEN 'escalate' THEN CASE WHEN h.overdue OR .. THEN 'terminate'
//         WHEN h.overdue IS NULL THEN 'cancel' END ELSE $8::pg_catalog.text END
fn action() -> String {
    format!(
        "CASE $8::pg_catalog.text \
         WHEN 'escalate' THEN CASE WHEN h.overdue OR h.overdue IS NULL AND {IS_IDLE} THEN 'terminate' \
         WHEN h.overdue IS NULL THEN 'cancel' END \
         ELSE $8::pg_catalog.text END"
    )
}

/// Whether the session `s`, an autovacuum worker, may prevent wraparound. Its query ends with these words. They may be
/// cut off if the query is as long as `track_activity_query_size` allows, and are missing if `track_activities` is off.
const MAY_PREVENT_WRAPAROUND: &str = "(s.query LIKE '%(to prevent wraparound)%' \
     OR s.query LIKE 'autovacuum: %' IS NOT TRUE \
     OR pg_catalog.octet_length(s.query) >= (SELECT g.setting::int - 4 FROM pg_catalog.pg_settings g WHERE g.name = 'track_activity_query_size'))";

/// The sessions are read after the blockers are known: one that has begun since has no verdict by an old row.
// Input:  false
// Output: verdict AS MATERIALIZED (SELECT b.pid, (..)::bigint AS started, s.application_name, .., CASE .. END AS action,
//         CASE WHEN b.pid = 0 THEN 'prepared' WHEN s.pid IS NULL THEN 'gone' WHEN .. THEN 'own'
//         WHEN s.application_name = ANY ($10::..) THEN 'application' WHEN .. = ANY ($11::..) THEN 'user'
//         WHEN false THEN 'filter' WHEN .. THEN 'wraparound' WHEN .. THEN 'background' WHEN NOT (..) THEN 'denied'
//         WHEN CASE .. END = 'cancel' AND .. THEN 'idle' WHEN CASE .. END IS NULL THEN 'grace' END AS spared
//         FROM blocker b CROSS JOIN me LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = b.pid
//         LEFT JOIN pg_catalog.pg_roles u ON .. LEFT JOIN before h ON ..
//         WHERE (SELECT CASE WHEN pg_catalog.count(*) >= 0 THEN .. END FROM blocker) = '')
fn verdicts(left_out: &str) -> String {
    format!(
        "verdict AS MATERIALIZED (\
         SELECT b.pid, b.is_behind, b.only_waits, {session}, \
         {action} AS action, CASE \
         WHEN b.pid = 0 THEN 'prepared' \
         WHEN s.pid IS NULL THEN 'gone' \
         WHEN b.pid = pg_catalog.pg_backend_pid() OR EXISTS (SELECT FROM own o WHERE o.pid = b.pid AND {same_own}) THEN 'own' \
         WHEN s.application_name = ANY ($10::pg_catalog.name[]::pg_catalog.text[]) THEN 'application' \
         WHEN s.usename::pg_catalog.text = ANY ($11::pg_catalog.name[]::pg_catalog.text[]) THEN 'user' \
         WHEN {left_out} THEN 'filter' \
         WHEN CASE s.backend_type WHEN 'autovacuum worker' THEN {MAY_PREVENT_WRAPAROUND} END THEN 'wraparound' \
         WHEN s.backend_type NOT IN ('client backend', 'autovacuum worker') \
         OR b.pid IN (SELECT r.pid FROM pg_catalog.pg_stat_replication r) THEN 'background' \
         WHEN NOT {allowed} THEN 'denied' \
         WHEN {action} = 'cancel' AND {IS_IDLE} THEN 'idle' \
         WHEN {action} IS NULL THEN 'grace' END AS spared \
         FROM judged b CROSS JOIN me \
         LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = b.pid \
         LEFT JOIN pg_catalog.pg_roles u ON u.oid = s.usesysid \
         LEFT JOIN before h ON h.pid = b.pid AND {same_before} \
         WHERE (SELECT CASE WHEN pg_catalog.count(*) >= 0 THEN {CLEAR_ACTIVITY_SNAPSHOT} END FROM judged) = '')",
        session = session(),
        action = action(),
        same_own = same_start("s.backend_start", "o.started"),
        allowed = may_signal("me.super", "u"),
        same_before = same_start("s.backend_start", "h.started"),
    )
}

/// Signals those that are not spared, unless `$9` says that this is a dry run.
fn signal() -> String {
    format!(
        "SELECT {VERDICT}, \
         (CASE WHEN v.spared IS NULL THEN CASE WHEN $9::boolean THEN true \
         WHEN v.action = 'terminate' THEN pg_catalog.pg_terminate_backend(v.pid) \
         ELSE pg_catalog.pg_cancel_backend(v.pid) END END)::pg_catalog.text \
         FROM decision v ORDER BY v.pid"
    )
}

/// The spellings that Postgres may show for this `application_name`: bytes that are not printable ASCII become question
/// marks, or hexadecimal numbers since version 16.
// Input:  é
// Output: ["??", "\xc3\xa9"]
fn as_shown(application_name: &str) -> [String; 2] {
    let clean = |other: fn(u8) -> String| {
        let bytes = application_name.bytes();
        let kept = bytes.map(|byte| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            _ => other(byte),
        });
        kept.collect()
    };
    [
        clean(|_| "?".to_owned()),
        clean(|byte| format!("\\x{byte:02x}")),
    ]
}
