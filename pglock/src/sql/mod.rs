//! Every SQL text. Values are integers that are formatted here, never text from outside. Pure.
//!
//! Texts are for the simple protocol: the statements of one text are one round trip and, outside a transaction,
//! one implicit transaction, which ends what `set_config(.., true)` set.
//!
//! Here and in the other texts, nothing of a user's is used instead of what is Postgres', whatever the `search_path`:
//! functions, views and types are named with `pg_catalog.`, except for types that are words of SQL (`bigint`), and
//! operators stand between just the types that Postgres has them for, since one that fits better would be found first. So
//! an OID is compared with `'1'`, which is read as one, and not with `1`.

pub(crate) mod backend;
mod rows;
mod statement;

use std::time::Duration;

use backend::start_of;

use crate::model::backend::Backend;
use crate::model::liveness::Liveness;
use crate::model::lock_id::Key;
use crate::model::options::{AdvisoryMode, Scope, WaitPolicy};
use crate::model::table::{self, TableMode, TableName};

pub(crate) use rows::{Row, Rows};
pub(crate) use statement::{Statement, Values};

/// Holds outside a transaction only: inside one, `now()` is when it began. A statement with it finds no row, and
/// calls nothing, in a transaction that was begun by hand.
const OUTSIDE_A_TRANSACTION: &str = "WHERE pg_catalog.now() = pg_catalog.statement_timestamp()";

/// `transaction_timeout` where the server knows it (17 and later), else a setting that is 0 already.
const TRANSACTION_TIMEOUT: &str = "CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 \
     THEN 'transaction_timeout' ELSE 'statement_timeout' END";

/// Holds on that backend only: a pooler that moves a session of ours to another one is found before it does harm.
fn on_backend(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" AND pg_catalog.pg_backend_pid() = {pid}"))
        .unwrap_or_default()
}

/// The reverse, as a value.
const IN_A_TRANSACTION: &str = "pg_catalog.now() <> pg_catalog.statement_timestamp()";

/// The key as arguments of the advisory lock functions; quoted, since `-9223372036854775808` can't be cast unquoted.
fn arguments(key: Key) -> String {
    match key {
        Key::Big(key) => format!("'{key}'::bigint"),
        Key::Pair(first, second) => format!("'{first}'::int, '{second}'::int"),
    }
}

fn suffix(mode: AdvisoryMode) -> &'static str {
    match mode {
        AdvisoryMode::Exclusive => "",
        AdvisoryMode::Shared => "_shared",
    }
}

/// How `pg_locks` names the mode.
fn pg_locks_mode(mode: AdvisoryMode) -> &'static str {
    match mode {
        AdvisoryMode::Exclusive => "ExclusiveLock",
        AdvisoryMode::Shared => "ShareLock",
    }
}

/// `lock_timeout` in milliseconds; 0 is no limit.
fn lock_timeout(wait: WaitPolicy) -> i32 {
    match wait {
        WaitPolicy::Millis(millis) => millis,
        WaitPolicy::NoWait | WaitPolicy::Block => 0,
    }
}

/// Takes a session lock, outside a transaction: no row when there is one, else a last row that is true for a try.
///
/// The wait is in the second statement, for a lock that ends with the implicit transaction; the third finds it
/// granted and cannot wait. A timer that fires late can't leave the session lock behind, as it does when
/// `pg_advisory_lock` itself waits. While it waits, a client that is gone is looked for every second.
///
/// With a `pid`, nothing is done on another backend either: no row.
pub(crate) fn acquire_session(
    key: Key,
    mode: AdvisoryMode,
    wait: WaitPolicy,
    pid: Option<i32>,
) -> String {
    let (key, suffix) = (arguments(key), suffix(mode));
    let guard = format!("{OUTSIDE_A_TRANSACTION}{}", on_backend(pid));
    match wait {
        WaitPolicy::NoWait => {
            format!("SELECT pg_catalog.pg_try_advisory_lock{suffix}({key}) {guard}")
        }
        WaitPolicy::Millis(_) | WaitPolicy::Block => format!(
            "SELECT pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '{}', true), \
             pg_catalog.set_config({TRANSACTION_TIMEOUT}, '0', true), \
             pg_catalog.set_config(CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN 'client_connection_check_interval' ELSE 'statement_timeout' END, \
             CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN '1000' ELSE '0' END, true) {guard}; \
             SELECT pg_catalog.pg_advisory_xact_lock{suffix}({key}) {guard}; \
             SELECT pg_catalog.pg_advisory_lock{suffix}({key}) {guard}",
            lock_timeout(wait)
        ),
    }
}

/// Releases a session lock, outside a transaction: no row when there is one, else whether it was held. The session
/// keeps the `release_token`, for [`release_unless_done`].
pub(crate) fn release_session(key: Key, mode: AdvisoryMode, release_token: Option<u64>) -> String {
    format!(
        "{} {OUTSIDE_A_TRANSACTION}",
        release_session_anywhere(key, mode, release_token)
    )
}

/// Releases a session lock of our own session, on that backend only: no row on another one, which may hold the same
/// lock for somebody else.
pub(crate) fn release_own(key: Key, mode: AdvisoryMode, pid: i32) -> String {
    format!(
        "{} {OUTSIDE_A_TRANSACTION}{}",
        unlock(key, mode),
        on_backend(Some(pid))
    )
}

/// Releases a session lock wherever the session is, an aborted transaction apart.
pub(crate) fn release_session_anywhere(
    key: Key,
    mode: AdvisoryMode,
    release_token: Option<u64>,
) -> String {
    let keep = release_token.map(|release_token| {
        format!(", pg_catalog.set_config('pglock.released', '{release_token}', false)")
    });
    format!("{}{}", unlock(key, mode), keep.unwrap_or_default())
}

/// Releases a session lock, unless a release whose answer nobody waited for has done so.
pub(crate) fn release_unless_done(key: Key, mode: AdvisoryMode, release_token: u64) -> String {
    format!(
        "{} WHERE pg_catalog.current_setting('pglock.released', true) IS DISTINCT FROM '{release_token}'",
        unlock(key, mode)
    )
}

fn unlock(key: Key, mode: AdvisoryMode) -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_unlock{}({})",
        suffix(mode),
        arguments(key)
    )
}

/// As [`release_leftover`], on that backend only: the first row says whether it is.
pub(crate) fn release_own_leftover(key: Key, mode: AdvisoryMode, pid: i32) -> String {
    format!(
        "SELECT pg_catalog.pg_backend_pid() = {pid}; {}{}",
        release_leftover(key, mode),
        on_backend(Some(pid))
    )
}

/// Releases a session lock that an acquire which failed may have left; says nothing when there is none.
pub(crate) fn release_leftover(key: Key, mode: AdvisoryMode) -> String {
    format!("{} WHERE {}", unlock(key, mode), is_held(key, mode))
}

/// Whether the session holds the lock.
pub(crate) fn holds(key: Key, mode: AdvisoryMode) -> String {
    format!("SELECT {}", is_held(key, mode))
}

fn is_held(key: Key, mode: AdvisoryMode) -> String {
    let (classid, objid) = key.pg_locks_columns();
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() AND granted \
         AND classid = '{classid}' AND objid = '{objid}' AND objsubid = {} AND mode = '{}')",
        key.objsubid(),
        pg_locks_mode(mode),
    )
}

/// What a server knows that not all do; an unknown setting is an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerFeatures {
    /// `transaction_timeout`, from version 17 on.
    pub(crate) transaction_timeout: bool,
    /// `client_connection_check_interval`, not on Windows.
    pub(crate) client_connection_check: bool,
    /// What it is told of silent networks.
    pub(crate) heartbeat: Liveness,
}

/// Takes a transaction lock in a transaction that this text begins. In it alone, what could end it early is set to 0,
/// and a client that is gone is looked for every second.
pub(crate) fn begin_and_acquire(
    key: Key,
    mode: AdvisoryMode,
    wait: WaitPolicy,
    server: ServerFeatures,
) -> String {
    let (key, suffix) = (arguments(key), suffix(mode));
    let lock_timeout = u128::from(lock_timeout(wait).unsigned_abs());
    let mut settings = vec![
        ("statement_timeout", 0),
        ("lock_timeout", lock_timeout),
        (
            "idle_in_transaction_session_timeout",
            lease(server.heartbeat),
        ),
    ];
    settings.extend(server.heartbeat.server_settings());
    if server.transaction_timeout {
        settings.push(("transaction_timeout", 0));
    }
    if server.client_connection_check {
        settings.push(("client_connection_check_interval", 1000));
    }
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("pg_catalog.set_config('{name}', '{value}', true)"))
        .collect();
    let acquire = match wait {
        WaitPolicy::NoWait => "pg_try_advisory_xact_lock",
        WaitPolicy::Millis(_) | WaitPolicy::Block => "pg_advisory_xact_lock",
    };
    format!(
        "BEGIN; SELECT {}; SELECT pg_catalog.{acquire}{suffix}({key})",
        settings.join(", ")
    )
}

/// Takes a transaction lock in the caller's transaction.
pub(crate) fn acquire_in_transaction(key: Key, mode: AdvisoryMode, wait: WaitPolicy) -> String {
    let (key, suffix) = (arguments(key), suffix(mode));
    match wait {
        WaitPolicy::NoWait => format!("SELECT pg_catalog.pg_try_advisory_xact_lock{suffix}({key})"),
        WaitPolicy::Millis(_) | WaitPolicy::Block => wait_in_transaction(
            &format!("SELECT pg_catalog.pg_advisory_xact_lock{suffix}({key})"),
            wait,
        ),
    }
}

/// Locks tables in the caller's transaction; without a `wait` of its own, as `lock_timeout` says there.
pub(crate) fn lock_tables(
    tables: &[TableName],
    mode: TableMode,
    wait: Option<WaitPolicy>,
) -> String {
    let lock = format!("LOCK TABLE {} IN {} MODE", table::list(tables), mode.sql());
    match wait {
        None => format!("SAVEPOINT pglock; {lock}; RELEASE SAVEPOINT pglock"),
        Some(WaitPolicy::NoWait) => {
            format!("SAVEPOINT pglock; {lock} NOWAIT; RELEASE SAVEPOINT pglock")
        }
        Some(wait) => wait_in_transaction(&lock, wait),
    }
}

/// A statement that waits for a lock in the caller's transaction, whose `lock_timeout` is back at the end.
///
/// The savepoint is what lets the caller go on after a wait that failed: see [`UNDO_ACQUIRE_IN_TRANSACTION`].
fn wait_in_transaction(statement: &str, wait: WaitPolicy) -> String {
    format!(
        "SAVEPOINT pglock; \
         SELECT pg_catalog.set_config('pglock.lock_timeout', pg_catalog.current_setting('lock_timeout'), true), pg_catalog.set_config('lock_timeout', '{}', true); \
         {statement}; \
         SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('pglock.lock_timeout'), true); \
         RELEASE SAVEPOINT pglock",
        lock_timeout(wait)
    )
}

/// Puts the caller's transaction back to where the acquire found it.
pub(crate) const UNDO_ACQUIRE_IN_TRANSACTION: &str =
    "ROLLBACK TO SAVEPOINT pglock; RELEASE SAVEPOINT pglock";

/// A statement in the caller's transaction that may fail, to be followed by [`RELEASE_SAVEPOINT`], or, where it failed, by
/// [`UNDO_ACQUIRE_IN_TRANSACTION`].
pub(crate) fn behind_a_savepoint(statement: &str) -> String {
    format!("SAVEPOINT pglock; {statement}")
}

pub(crate) const RELEASE_SAVEPOINT: &str = "RELEASE SAVEPOINT pglock";

/// Ends this session itself, for one whose state is in doubt.
pub(crate) const TERMINATE_OWN_SESSION: &str =
    "SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())";

/// How many sleeps are sent behind a wait that is to be canceled, each as a query of its own: 0.8 s in all.
pub(crate) const SLEEPS: usize = 4;

/// What a cancel hits that comes too late for the wait; nothing in a transaction, which it would abort.
pub(crate) const SLEEP: &str =
    "SELECT pg_catalog.pg_sleep(0.2) WHERE pg_catalog.now() = pg_catalog.statement_timestamp()";

/// The same in the caller's transaction, with [`UNDO_ACQUIRE_IN_TRANSACTION`] behind it: that goes back to this
/// savepoint, or, where the acquire failed and this with it, to the acquire's.
pub(crate) const SLEEP_IN_TRANSACTION: &str = "SAVEPOINT pglock; SELECT pg_catalog.pg_sleep(0.2)";

/// Whether a transaction is open; an error in an aborted one.
pub(crate) const IS_IN_TRANSACTION: &str =
    "SELECT pg_catalog.now() <> pg_catalog.statement_timestamp()";

/// Ends whatever transaction a caller has left, open or aborted or none, without a warning in the server's log for the
/// usual case, none. Two queries, since an error (`BEGIN` in an aborted transaction) skips the rest of its query.
pub(crate) const END_ANY_TRANSACTION: [&str; 2] = ["BEGIN", "ROLLBACK"];

/// Leaves the session in an aborted transaction, which refuses all statements until its end, and says why.
#[cfg(feature = "sqlx")]
pub(crate) const ABORT_TRANSACTION: &str = "BEGIN; \
     SELECT 'rolled back: a call of pglock was dropped half-way in a transaction that was begun by hand'::int";

/// How many locks have room in the server's lock table at the least.
const LOCK_TABLE: &str = "pg_catalog.current_setting('max_locks_per_transaction')::bigint \
     * (pg_catalog.current_setting('max_connections')::bigint + pg_catalog.current_setting('max_prepared_transactions')::bigint)";

/// The first words on a new session of pglock's own, one round trip. Two rows: of facts, and whether
/// the lock that the first one took is seen.
///
/// On the backend that was `announced` when the session began, a session for session locks is set up as well.
pub(crate) fn probe(scope: Scope, announced: i32, heartbeat: Liveness) -> String {
    let facts = format!(
        "SELECT pg_catalog.pg_backend_pid(), (SELECT {} FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()), \
         pg_catalog.current_setting('server_version_num')::int >= 170000, {CAN_LOOK_FOR_CLIENT}, pg_catalog.pg_is_in_recovery(), \
         pg_catalog.pg_try_advisory_xact_lock_shared({}), \
         pg_catalog.current_setting('server_version_num')::int >= 140000, {LOCK_TABLE}; \
         SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND granted AND {})",
        start_of("backend_start"),
        arguments(SEEN),
        is_lock(SEEN)
    );
    match scope {
        Scope::Session => format!("{facts}; {}", set_up(announced, heartbeat)),
        // Behind a pooler a setting of the session would stay with the pool's next client.
        Scope::Transaction => facts,
    }
}

/// The lock that shows whether the server takes locks at all, for the length of a statement and shared; it spells `pglock?`.
const SEEN: Key = Key::Big(i64::from_be_bytes(*b"\0pglock?"));

/// The end of every timeout that could end a session for session locks, and a look every second for a client that is
/// gone; on another backend nothing, and no row.
///
/// Those names come from `pg_settings`, since they differ between versions.
pub(crate) fn set_up(pid: i32, heartbeat: Liveness) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '1000' {} \
         WHEN 'idle_session_timeout' THEN '{}' ELSE '0' END, false) \
         FROM pg_catalog.pg_settings WHERE (name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', \
         'idle_session_timeout', 'transaction_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval', \
         'tcp_keepalives_count', 'tcp_user_timeout') \
         OR name = 'client_connection_check_interval' AND {CAN_LOOK_FOR_CLIENT}){}",
        heartbeat
            .server_settings()
            .map(|(name, value)| format!("WHEN '{name}' THEN '{value}'"))
            .join(" "),
        lease(heartbeat),
        on_backend(Some(pid))
    )
}

/// Which backend speaks.
pub(crate) const BACKEND_PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Takes a lock for the length of a transaction that it begins.
pub(crate) fn begin_and_try(key: Key) -> String {
    format!("BEGIN; {}", try_once(key))
}

/// Takes a lock for the length of the statement.
pub(crate) fn try_once(key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_try_advisory_xact_lock({})",
        arguments(key)
    )
}

/// Milliseconds after which the server ends a session that says nothing; 0 is never.
fn lease(heartbeat: Liveness) -> u128 {
    heartbeat.lease().map_or(0, |lease| lease.as_millis())
}

/// Whether the server can look for a client that is gone: in version 14 on Linux only, never on Windows.
const CAN_LOOK_FOR_CLIENT: &str = "(pg_catalog.current_setting('server_version_num')::int \
     >= CASE WHEN pg_catalog.version() ~* 'linux' THEN 140000 ELSE 150000 END AND pg_catalog.version() !~* 'visual c|mingw|msvc')";

/// Cancels backend `pid` if it waits for this very lock at this moment; never late, since it looks and hits at once.
pub(crate) fn cancel_waiter(pid: i32, key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_locks WHERE pid = {pid} AND NOT granted AND {}",
        is_lock(key)
    )
}

/// Ends the backend, if it holds this lock or waits for it.
pub(crate) fn terminate(backend: Backend, key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity a WHERE pid = {} \
         AND {} = {} AND EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND {})",
        backend.pid,
        start_of("backend_start"),
        backend.started.unwrap_or_default(),
        is_lock(key)
    )
}

/// Asks a session that holds locks whether there is a server. A comment only, which says for how long the locks are held: it
/// takes the place of the statement that took them in `pg_stat_activity`.
// Input:  [(Key::Big(42), 3 s)]
// Output: /* pglock holds k42 3000 ms */
pub(crate) fn heartbeat(held: &[(Key, Duration)]) -> String {
    let held: Vec<String> = held
        .iter()
        .map(|(key, time)| format!("{} {} ms", mark(*key), time.as_millis()))
        .collect();
    format!("/* pglock holds {} */", held.join(", "))
}

/// A lock in a heartbeat. Nothing in it has a meaning in a regular expression.
fn mark(key: Key) -> String {
    match key {
        Key::Big(key) => format!("k{key}"),
        Key::Pair(first, second) => format!("p{first},{second}"),
    }
}

/// Who holds the lock, our own session last: pid, application name, user, address, query, when it was taken, and when now is.
///
/// That time is known while the holder idles after the statement that took it, and from heartbeats.
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

/// Who holds a lock on one of the tables that keeps `mode` out, our own session last: as [`holder`], without a time.
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
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         AND l.relation IN ({}) AND l.mode IN ({}) \
         ORDER BY l.pid = pg_catalog.pg_backend_pid(), a.xact_start LIMIT 1",
        tables.join(", "),
        modes.join(", ")
    )
}

/// A text as a literal that reads the same whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Sets `lock_timeout`, in a transaction for its rest: what it was, and whether there is a transaction. It is also
/// noted in the session, for [`RESTORE_NOTED_LOCK_TIMEOUT`].
pub(crate) fn set_lock_timeout(wait: WaitPolicy) -> String {
    format!(
        "SELECT pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}, \
         pg_catalog.set_config('pglock.lock_timeout', pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}), \
         pg_catalog.set_config('lock_timeout', '{}', {IN_A_TRANSACTION})",
        lock_timeout(wait)
    )
}

/// Puts `lock_timeout` back to what it was, for the rest of the transaction where it was set in one.
pub(crate) fn restore_lock_timeout(before: &str, in_transaction: bool) -> String {
    format!(
        "SELECT pg_catalog.set_config('lock_timeout', {}, {in_transaction})",
        literal(before)
    )
}

/// Undoes a [`set_lock_timeout`] whose answer nobody waited for.
pub(crate) const RESTORE_NOTED_LOCK_TIMEOUT: &str = "SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('pglock.lock_timeout'), pg_catalog.now() <> pg_catalog.statement_timestamp())";

/// A condition on `pg_locks`: this lock, in this database.
fn is_lock(key: Key) -> String {
    let (classid, objid) = key.pg_locks_columns();
    format!(
        "locktype = 'advisory' AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         AND classid = '{classid}' AND objid = '{objid}' AND objsubid = {}",
        key.objsubid()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_a_session_acquire_looks_for_a_transaction_and_the_backend() {
        for wait in [WaitPolicy::NoWait, WaitPolicy::Millis(5), WaitPolicy::Block] {
            let sql = acquire_session(Key::Big(1), AdvisoryMode::Shared, wait, Some(7));
            let guarded = |statement: &str| {
                statement.contains(OUTSIDE_A_TRANSACTION)
                    && statement.ends_with("pg_backend_pid() = 7")
            };
            assert!(sql.split(';').all(guarded), "{sql}");
        }
    }

    #[test]
    fn literals_and_identifiers_keep_what_is_in_them() {
        assert_eq!(literal(r"it's \ here"), r"E'it''s \\ here'");
        let sql = lock_tables(
            &[r#"a"b"#.into()],
            TableMode::Share,
            Some(WaitPolicy::NoWait),
        );
        assert!(
            sql.contains(r#"LOCK TABLE "a""b" IN SHARE MODE NOWAIT"#),
            "{sql}"
        );
    }

    #[test]
    fn keys_are_written_as_quoted_integers() {
        assert_eq!(
            arguments(Key::Big(i64::MIN)),
            "'-9223372036854775808'::bigint"
        );
        assert_eq!(arguments(Key::Pair(-1, 2)), "'-1'::int, '2'::int");
    }
}
