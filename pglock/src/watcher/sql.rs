//! The SQL of the watcher: finding waits, and signaling the sessions that block them. Values are bound, as text.
//!
//! See [`crate::sql`] for how names are written.

use std::time::{Duration, SystemTime};

use super::policy::{Escalation, SignalPolicy};
use super::report::{Blocker, BlockerAction, Spared};
use crate::model::backend::Backend;
use crate::sql::parts::{may_signal, microseconds, statement};
use crate::sql::{Row, Rows, Statement, Values};
use crate::view::sql::{FORGET, LocksQuery, blockers_found};

/// The pid and the start of the session that runs it. It also clears the snapshot of `pg_stat_activity`, which a
/// transaction keeps: later queries in it would read old data.
pub(crate) fn own_backend() -> String {
    format!(
        "WITH me AS MATERIALIZED (SELECT s.pid::pg_catalog.text, {}::pg_catalog.text AS started \
         FROM pg_catalog.pg_stat_activity s WHERE s.pid = pg_catalog.pg_backend_pid()) \
         SELECT me.pid, me.started, {FORGET} FROM me",
        microseconds("s.backend_start")
    )
}

/// A session that was canceled before: see [`Escalation::Escalate`].
pub(crate) struct Canceled {
    pub(crate) backend: Backend,
    /// Whether its grace time is over.
    pub(crate) overdue: bool,
}

/// One row per session that the server has: its position in `backends`, whether it is in the watcher's database, and
/// whether it may be waiting for a lock.
///
/// It reads sessions only, which is cheap. Reading locks would stop the server's lock manager.
pub(crate) fn waiting(backends: &[Backend]) -> Statement {
    let mut values = Values::default();
    let wanted = bind(backends, &mut values);
    // A state that our role may not see counts as a wait. Then the statement that looks for blockers decides.
    let sql = format!(
        "WITH activity AS MATERIALIZED (SELECT s.* FROM pg_catalog.pg_stat_activity s WHERE (SELECT {FORGET}) = '') \
         SELECT w.place::pg_catalog.text, (s.datname = pg_catalog.current_database())::pg_catalog.text, \
         (EXISTS (SELECT FROM activity m WHERE (m.pid = w.pid OR m.leader_pid = w.pid) \
         AND (m.wait_event_type = 'Lock' OR m.backend_start IS NULL)))::pg_catalog.text \
         FROM {wanted} WITH ORDINALITY w(pid, started, place) \
         JOIN activity s ON s.pid = w.pid AND {same}",
        same = same_start("s.backend_start", "w.started"),
    );
    (sql, values.into_inner())
}

/// The state of a session.
pub(crate) struct SectionActivity {
    /// Whether it is in the watcher's database.
    pub(crate) is_here: bool,
    pub(crate) may_wait: bool,
}

/// Reads the answer of [`waiting`]: one entry per session, in order; `None` for those that the server does not have.
pub(crate) fn activities(rows: &Rows, sessions: usize) -> Vec<Option<SectionActivity>> {
    let mut seen: Vec<_> = std::iter::repeat_with(|| None).take(sessions).collect();
    for row in rows.iter() {
        let place = row.parsed(0).and_then(|place: usize| place.checked_sub(1));
        if let Some(seen) = place.and_then(|place| seen.get_mut(place)) {
            *seen = Some(SectionActivity {
                is_here: row.text(1) == Some("true"),
                may_wait: row.text(2) == Some("true"),
            });
        }
    }
    seen
}

/// Signals the sessions that block `waiting`: one row per blocker, with what was done or why it was left alone.
///
/// They are found and signaled in one statement. Those of `own` are never signaled; one of `before` is signaled again
/// only if it is overdue. Sessions that are gone, or that our role may not signal, are left alone: for those the server
/// would raise an error, after it has signaled others.
pub(crate) fn signal_blockers(
    waiting: Backend,
    policy: &SignalPolicy,
    own: &[Backend],
    before: &[Canceled],
) -> Statement {
    let mut values = Values::default();
    let (ctes, left_out) = filtered(waiting, policy, &mut values);
    let own = bind(own, &mut values);
    let applications: Vec<String> = policy
        .never_applications
        .iter()
        .flat_map(|name| as_shown(name))
        .collect();
    let applications = bind_names(&applications, &mut values);
    let users = bind_names(&policy.never_users, &mut values);
    let before_backends: Vec<Backend> = before.iter().map(|before| before.backend).collect();
    let overdue: Vec<bool> = before.iter().map(|before| before.overdue).collect();
    let before = bind_with(&before_backends, Some(&overdue), &mut values);
    let waiting_now = bind(&[waiting], &mut values);
    let action = match policy.escalation {
        Escalation::Terminate => "'terminate'",
        Escalation::Cancel => "'cancel'",
        Escalation::Escalate { .. } => {
            "CASE WHEN h.overdue THEN 'terminate' WHEN h.overdue IS NULL THEN 'cancel' END"
        }
    };
    let signaled = if policy.dry_run {
        "true"
    } else {
        "CASE v.action WHEN 'terminate' THEN pg_catalog.pg_terminate_backend(v.pid) ELSE pg_catalog.pg_cancel_backend(v.pid) END"
    };
    let sql = format!(
        "WITH {ctes}me AS MATERIALIZED (SELECT r.rolsuper AS super FROM pg_catalog.pg_roles r WHERE r.rolname = current_user), \
         own AS MATERIALIZED (SELECT o.* FROM {own} o(pid, started)), \
         before AS MATERIALIZED (SELECT h.* FROM {before} h(pid, started, overdue)), \
         blocker AS MATERIALIZED (SELECT DISTINCT p.pid FROM {waiting_now} w(pid, started) \
         JOIN pg_catalog.pg_stat_activity s ON s.pid = w.pid AND {same_waiting} \
         CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) p(pid)), \
         verdict AS MATERIALIZED (SELECT b.pid, s.backend_start, s.application_name, s.usename, s.state, {query} AS query, \
         {action} AS action, CASE \
         WHEN b.pid = 0 THEN 'prepared' \
         WHEN s.pid IS NULL THEN 'gone' \
         WHEN b.pid = pg_catalog.pg_backend_pid() OR EXISTS (SELECT FROM own o WHERE o.pid = b.pid AND {same_own}) THEN 'own' \
         WHEN s.application_name = ANY ({applications}) THEN 'application' \
         WHEN s.usename::pg_catalog.text = ANY ({users}) THEN 'user' \
         WHEN {left_out} THEN 'filter' \
         WHEN s.backend_type = 'autovacuum worker' AND {may_prevent_wraparound} THEN 'wraparound' \
         WHEN s.backend_type NOT IN ('client backend', 'autovacuum worker') \
         OR b.pid IN (SELECT r.pid FROM pg_catalog.pg_stat_replication r) THEN 'background' \
         WHEN NOT {allowed} THEN 'denied' \
         WHEN {action} IS NULL THEN 'grace' END AS spared \
         FROM blocker b CROSS JOIN me LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = b.pid \
         LEFT JOIN pg_catalog.pg_roles u ON u.oid = s.usesysid \
         LEFT JOIN before h ON h.pid = b.pid AND {same_before} \
         WHERE (SELECT CASE WHEN pg_catalog.count(*) >= 0 THEN {FORGET} END FROM blocker) = '') \
         SELECT v.pid::pg_catalog.text, {started}::pg_catalog.text, v.application_name, v.usename::pg_catalog.text, \
         pg_catalog.upper(pg_catalog.replace(v.state, ' ', '_') COLLATE pg_catalog.\"C\"), nullif(v.query, '<insufficient privilege>'), v.action, v.spared, \
         (CASE WHEN v.spared IS NULL THEN {signaled} END)::pg_catalog.text FROM verdict v ORDER BY v.pid",
        query = statement("s.query"),
        allowed = may_signal("me.super", "u"),
        started = microseconds("v.backend_start"),
        same_waiting = same_start("s.backend_start", "w.started"),
        same_own = same_start("s.backend_start", "o.started"),
        same_before = same_start("s.backend_start", "h.started"),
        may_prevent_wraparound = MAY_PREVENT_WRAPAROUND,
    );
    (sql, values.into_inner())
}

/// Whether the session `s`, an autovacuum worker, may prevent wraparound. Its query ends with these words. They may be
/// cut off if the query is as long as `track_activity_query_size` allows, and are missing if `track_activities` is off.
const MAY_PREVENT_WRAPAROUND: &str = "(s.query LIKE '%(to prevent wraparound)%' \
     OR s.query LIKE 'autovacuum: %' IS NOT TRUE \
     OR pg_catalog.octet_length(s.query) >= (SELECT g.setting::int - 4 FROM pg_catalog.pg_settings g WHERE g.name = 'track_activity_query_size'))";

/// The CTEs of the filters, each followed by a comma, and the condition that a blocker does not match them.
fn filtered(waiting: Backend, policy: &SignalPolicy, values: &mut Values) -> (String, String) {
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

/// Compares two starts. If one of them is hidden, the pid alone decides.
fn same_start(backend_start: &str, started: &str) -> String {
    format!(
        "coalesce({} = {started}, true)",
        microseconds(backend_start)
    )
}

fn bind(backends: &[Backend], values: &mut Values) -> String {
    bind_with(backends, None, values)
}

/// A table function with one row per session.
fn bind_with(backends: &[Backend], flags: Option<&[bool]>, values: &mut Values) -> String {
    let mut array = |elements: Vec<String>, of: &str| {
        format!(
            "{}::{of}[]",
            values.bind(format!("{{{}}}", elements.join(",")))
        )
    };
    let mut arrays = vec![
        array(
            backends
                .iter()
                .map(|backend| backend.pid.to_string())
                .collect(),
            "int",
        ),
        array(
            backends
                .iter()
                .map(|backend| match backend.started {
                    Some(started) => started.to_string(),
                    None => "NULL".to_owned(),
                })
                .collect(),
            "bigint",
        ),
    ];
    if let Some(flags) = flags {
        arrays.push(array(
            flags.iter().map(bool::to_string).collect(),
            "boolean",
        ));
    }
    // With several arrays `unnest` is syntax and not a function, so it takes no schema.
    format!("unnest({})", arrays.join(", "))
}

/// The names as Postgres stores them, cut off at 63 bytes.
fn bind_names<'n>(names: impl IntoIterator<Item = &'n String>, values: &mut Values) -> String {
    let names = names.into_iter().map(|name| values.bind(name.clone()));
    let names: Vec<String> = names.collect();
    format!(
        "ARRAY[{}]::pg_catalog.name[]::pg_catalog.text[]",
        names.join(", ")
    )
}

/// The spellings that Postgres may show for this `application_name`: bytes that are not printable ASCII become question
/// marks, or hexadecimal numbers since version 16.
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

/// Reads a row of [`signal_blockers`].
pub(crate) fn blocker(row: &Row<'_>, policy: &SignalPolicy) -> Option<Blocker> {
    let started: Option<i64> = row.parsed(1);
    let action = match (row.text(7), row.text(6), row.text(8)) {
        (Some(spared), _, _) => BlockerAction::Spared(why_spared(spared)?),
        // The server found no such session.
        (None, _, Some("false")) => BlockerAction::Spared(Spared::Gone),
        (None, Some("terminate"), _) if policy.dry_run => BlockerAction::WouldTerminate,
        (None, Some("terminate"), _) => BlockerAction::Terminated,
        (None, _, _) if policy.dry_run => BlockerAction::WouldCancel,
        (None, _, _) => BlockerAction::Canceled,
    };
    Some(Blocker {
        pid: row.parsed(0)?,
        backend_start: started
            .and_then(|micros| u64::try_from(micros).ok())
            .map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros)),
        application_name: row.text(2).unwrap_or_default().to_owned(),
        user: row.text(3).map(str::to_owned),
        state: row.text(4).and_then(|state| state.parse().ok()),
        query: row.text(5).map(str::to_owned),
        action,
        at: SystemTime::now(),
        started,
    })
}

fn why_spared(word: &str) -> Option<Spared> {
    Some(match word {
        "prepared" => Spared::PreparedTransaction,
        "gone" => Spared::Gone,
        "own" => Spared::Own,
        "application" => Spared::Application,
        "user" => Spared::User,
        "filter" => Spared::Filter,
        "grace" => Spared::Grace,
        "wraparound" => Spared::Wraparound,
        "background" => Spared::Background,
        "denied" => Spared::Denied,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pglock_tests::{BOUND, TestDb, database, wait_until};
    use postgres::Client;

    use super::*;
    use crate::background::block_on;
    use crate::drivers::BlockingWire;
    use crate::wire::ExtendedQuery as _;

    fn backend(client: &mut Client) -> Backend {
        let rows = block_on(BlockingWire(client).query(&own_backend(), &[])).unwrap();
        crate::sql::backend::read(&rows.first_row().unwrap()).unwrap()
    }

    fn ask(client: &mut Client, (sql, values): &Statement) -> Rows {
        block_on(BlockingWire(client).query(sql, values)).unwrap()
    }

    /// A session that holds a lock, and one that waits for it on a thread of its own.
    fn tangle(db: &TestDb) -> (Client, Backend, Backend) {
        let (mut holder, mut waiter) = (db.connect(), db.connect());
        holder.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        let (holds, waits) = (backend(&mut holder), backend(&mut waiter));
        std::thread::spawn(move || waiter.batch_execute("SELECT pg_advisory_lock(1)"));
        wait_until("it waits", BOUND, || db.waiting(1) == 1);
        (holder, holds, waits)
    }

    fn earlier(backend: Backend) -> Backend {
        Backend {
            started: backend.started.map(|started| started - 1),
            ..backend
        }
    }

    #[test]
    fn a_pid_whose_start_differs_does_not_wait() {
        let db = database();
        let (_holder, holds, waits) = tangle(&db);
        let mut watcher = db.connect();
        let sessions = [earlier(waits), waits, holds];
        let rows = ask(&mut watcher, &waiting(&sessions));
        let seen = activities(&rows, sessions.len());
        assert!(seen[0].is_none());
        assert!(seen[1].as_ref().is_some_and(|it| it.is_here && it.may_wait));
        assert!(
            seen[2]
                .as_ref()
                .is_some_and(|it| it.is_here && !it.may_wait)
        );
    }

    #[test]
    fn nothing_is_signaled_for_a_pid_whose_start_differs() {
        let db = database();
        let (mut holder, _, waits) = tangle(&db);
        let mut watcher = db.connect();
        let terminate = SignalPolicy::new(Escalation::Terminate);
        let rows = ask(
            &mut watcher,
            &signal_blockers(earlier(waits), &terminate, &[], &[]),
        );
        assert!(rows.is_empty());
        holder.batch_execute("SELECT 1").unwrap();
    }

    #[test]
    fn a_pid_whose_start_differs_was_not_canceled_before_and_is_not_ended() {
        let db = database();
        let (mut holder, holds, waits) = tangle(&db);
        let mut watcher = db.connect();
        let escalate = SignalPolicy::new(Escalation::Escalate {
            grace: Duration::ZERO,
        });
        let mut signaled = |backend| {
            let before = [Canceled {
                backend,
                overdue: true,
            }];
            let rows = ask(
                &mut watcher,
                &signal_blockers(waits, &escalate, &[], &before),
            );
            let blocker = blocker(&rows.first_row().unwrap(), &escalate).unwrap();
            assert_eq!(blocker.backend(), holds);
            blocker.action
        };
        assert_eq!(signaled(earlier(holds)), BlockerAction::Canceled);
        holder.batch_execute("SELECT 1").unwrap();
        assert_eq!(signaled(holds), BlockerAction::Terminated);
        holder.batch_execute("SELECT 1").unwrap_err();
    }

    #[test]
    fn own_sessions_are_known_by_their_start_too() {
        let db = database();
        let (mut holder, holds, waits) = tangle(&db);
        let mut watcher = db.connect();
        let terminate = SignalPolicy::new(Escalation::Terminate);
        let mut signaled = |own| {
            let rows = ask(
                &mut watcher,
                &signal_blockers(waits, &terminate, &[own], &[]),
            );
            blocker(&rows.first_row().unwrap(), &terminate)
                .unwrap()
                .action
        };
        assert_eq!(signaled(holds), BlockerAction::Spared(Spared::Own));
        holder.batch_execute("SELECT 1").unwrap();
        assert_eq!(signaled(earlier(holds)), BlockerAction::Terminated);
    }
}
