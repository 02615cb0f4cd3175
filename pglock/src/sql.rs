//! Every SQL text. Values are integers that are formatted here, never text from outside. Pure.
//!
//! Texts are for the simple protocol: the statements of one text are one round trip and, outside a transaction,
//! one implicit transaction, which ends what `set_config(.., true)` set.

use crate::backend::{Backend, start_of};
use crate::heartbeat::Heartbeat;
use crate::key::Key;
use crate::options::{Mode, Scope, Wait};
use crate::table::{TableMode, TableName};

/// Holds outside a transaction only: inside one, `now()` is when it began. A statement with it finds no row, and
/// calls nothing, in a transaction that was begun by hand.
const OUTSIDE_A_TRANSACTION: &str = "WHERE now() = statement_timestamp()";

/// `transaction_timeout` where the server knows it (17 and later), else a setting that is 0 already.
const TRANSACTION_TIMEOUT: &str = "CASE WHEN current_setting('server_version_num')::int >= 170000 \
     THEN 'transaction_timeout' ELSE 'statement_timeout' END";

/// The reverse, as a value.
const IN_A_TRANSACTION: &str = "now() <> statement_timestamp()";

/// The key as arguments of the advisory lock functions; quoted, since `-9223372036854775808` can't be cast unquoted.
fn arguments(key: Key) -> String {
    match key {
        Key::Big(key) => format!("'{key}'::int8"),
        Key::Pair(first, second) => format!("'{first}'::int4, '{second}'::int4"),
    }
}

fn suffix(mode: Mode) -> &'static str {
    match mode {
        Mode::Exclusive => "",
        Mode::Shared => "_shared",
    }
}

/// How `pg_locks` names the mode.
fn pg_locks_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Exclusive => "ExclusiveLock",
        Mode::Shared => "ShareLock",
    }
}

/// `lock_timeout` in milliseconds; 0 is no limit.
fn lock_timeout(wait: Wait) -> i32 {
    match wait {
        Wait::Millis(millis) => millis,
        Wait::Try | Wait::Forever => 0,
    }
}

/// Takes a session lock, outside a transaction: no row when there is one, else a last row that is true for a try.
///
/// The wait is in the second statement, for a lock that ends with the implicit transaction; the third finds it
/// granted and cannot wait. A timer that fires late can't leave the session lock behind, as it does when
/// `pg_advisory_lock` itself waits. While it waits, a client that is gone is looked for every second.
pub(crate) fn acquire_session(key: Key, mode: Mode, wait: Wait) -> String {
    let (key, suffix) = (arguments(key), suffix(mode));
    match wait {
        Wait::Try => {
            format!("SELECT pg_try_advisory_lock{suffix}({key}) {OUTSIDE_A_TRANSACTION}")
        }
        Wait::Millis(_) | Wait::Forever => format!(
            "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '{}', true), \
             set_config({TRANSACTION_TIMEOUT}, '0', true), \
             set_config(CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN 'client_connection_check_interval' ELSE 'statement_timeout' END, \
             CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN '1000' ELSE '0' END, true) {OUTSIDE_A_TRANSACTION}; \
             SELECT pg_advisory_xact_lock{suffix}({key}) {OUTSIDE_A_TRANSACTION}; \
             SELECT pg_advisory_lock{suffix}({key}) {OUTSIDE_A_TRANSACTION}",
            lock_timeout(wait)
        ),
    }
}

/// Releases a session lock, outside a transaction: no row when there is one, else whether it was held. The session
/// keeps the `note`, for [`release_unless_noted`].
pub(crate) fn release_session(key: Key, mode: Mode, note: Option<u64>) -> String {
    format!(
        "{} {OUTSIDE_A_TRANSACTION}",
        release_session_anywhere(key, mode, note)
    )
}

/// Releases a session lock wherever the session is, an aborted transaction apart.
pub(crate) fn release_session_anywhere(key: Key, mode: Mode, note: Option<u64>) -> String {
    let keep = note.map(|note| format!(", set_config('pglock.released', '{note}', false)"));
    format!("{}{}", unlock(key, mode), keep.unwrap_or_default())
}

/// Releases a session lock, unless a release whose answer nobody waited for has done so.
pub(crate) fn release_unless_noted(key: Key, mode: Mode, note: u64) -> String {
    format!(
        "{} WHERE current_setting('pglock.released', true) IS DISTINCT FROM '{note}'",
        unlock(key, mode)
    )
}

fn unlock(key: Key, mode: Mode) -> String {
    format!(
        "SELECT pg_advisory_unlock{}({})",
        suffix(mode),
        arguments(key)
    )
}

/// Releases a session lock that an acquire which failed may have left; says nothing when there is none.
pub(crate) fn release_leftover(key: Key, mode: Mode) -> String {
    let (classid, objid) = key.pg_locks_columns();
    format!(
        "{} WHERE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted \
         AND classid = {classid} AND objid = {objid} AND objsubid = {} AND mode = '{}')",
        unlock(key, mode),
        key.objsubid(),
        pg_locks_mode(mode),
    )
}

/// What a server knows that not all do; an unknown setting is an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    /// `transaction_timeout`, from version 17 on.
    pub(crate) transaction_timeout: bool,
    /// `client_connection_check_interval`, not on Windows.
    pub(crate) client_connection_check: bool,
    /// What it is told of silent networks.
    pub(crate) heartbeat: Heartbeat,
}

/// Takes a transaction lock in a transaction that this text begins. In it alone, what could end it early is set to 0,
/// and a client that is gone is looked for every second.
pub(crate) fn begin_and_acquire(key: Key, mode: Mode, wait: Wait, server: Server) -> String {
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
        .map(|(name, value)| format!("set_config('{name}', '{value}', true)"))
        .collect();
    let acquire = match wait {
        Wait::Try => "pg_try_advisory_xact_lock",
        Wait::Millis(_) | Wait::Forever => "pg_advisory_xact_lock",
    };
    format!(
        "BEGIN; SELECT {}; SELECT {acquire}{suffix}({key})",
        settings.join(", ")
    )
}

/// Takes a transaction lock in the caller's transaction.
pub(crate) fn acquire_in_transaction(key: Key, mode: Mode, wait: Wait) -> String {
    let (key, suffix) = (arguments(key), suffix(mode));
    match wait {
        Wait::Try => format!("SELECT pg_try_advisory_xact_lock{suffix}({key})"),
        Wait::Millis(_) | Wait::Forever => wait_in_transaction(
            &format!("SELECT pg_advisory_xact_lock{suffix}({key})"),
            wait,
        ),
    }
}

/// Locks tables in the caller's transaction.
pub(crate) fn lock_tables(tables: &[TableName], mode: TableMode, wait: Wait) -> String {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let lock = format!("LOCK TABLE {} IN {} MODE", names.join(", "), mode.sql());
    match wait {
        Wait::Try => format!("SAVEPOINT pglock; {lock} NOWAIT; RELEASE SAVEPOINT pglock"),
        Wait::Millis(_) | Wait::Forever => wait_in_transaction(&lock, wait),
    }
}

/// A statement that waits for a lock in the caller's transaction, whose `lock_timeout` is back at the end.
///
/// The savepoint is what lets the caller go on after a wait that failed: see [`UNDO_ACQUIRE_IN_TRANSACTION`].
fn wait_in_transaction(statement: &str, wait: Wait) -> String {
    format!(
        "SAVEPOINT pglock; \
         SELECT set_config('pglock.lock_timeout', current_setting('lock_timeout'), true), set_config('lock_timeout', '{}', true); \
         {statement}; \
         SELECT set_config('lock_timeout', current_setting('pglock.lock_timeout'), true); \
         RELEASE SAVEPOINT pglock",
        lock_timeout(wait)
    )
}

/// Puts the caller's transaction back to where the acquire found it.
pub(crate) const UNDO_ACQUIRE_IN_TRANSACTION: &str =
    "ROLLBACK TO SAVEPOINT pglock; RELEASE SAVEPOINT pglock";

/// Ends this session itself, for one whose state is in doubt.
pub(crate) const TERMINATE_OWN_SESSION: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

/// How many sleeps are sent behind a wait that is to be canceled, each as a query of its own: 0.8 s in all.
pub(crate) const SLEEPS: usize = 4;

/// What a cancel hits that comes too late for the wait; nothing in a transaction, which it would abort.
pub(crate) const SLEEP: &str = "SELECT pg_sleep(0.2) WHERE now() = statement_timestamp()";

/// The same in the caller's transaction, with [`UNDO_ACQUIRE_IN_TRANSACTION`] behind it: that goes back to this
/// savepoint, or, where the acquire failed and this with it, to the acquire's.
pub(crate) const SLEEP_IN_TRANSACTION: &str = "SAVEPOINT pglock; SELECT pg_sleep(0.2)";

/// Whether a transaction is open; an error in an aborted one.
pub(crate) const IS_IN_TRANSACTION: &str = "SELECT now() <> statement_timestamp()";

/// Ends whatever transaction a caller has left, open or aborted or none, without a warning in the server's log for the
/// usual case, none. Two queries, since an error (`BEGIN` in an aborted transaction) skips the rest of its query.
pub(crate) const END_ANY_TRANSACTION: [&str; 2] = ["BEGIN", "ROLLBACK"];

/// Leaves the session in an aborted transaction, which refuses all statements until its end, and says why.
#[cfg(feature = "sqlx")]
pub(crate) const ABORT_TRANSACTION: &str = "BEGIN; \
     SELECT 'rolled back: a call of pglock was dropped half-way in a transaction that was begun by hand'::int4";

/// The first words on a new session of pglock's own: the backend, and what the server knows ([`Server`]); for
/// session locks also the end of every timeout that could end it, and a look every second for a client that is gone.
///
/// Those names come from `pg_settings`, since they differ between versions.
pub(crate) fn greet(scope: Scope, heartbeat: Heartbeat) -> String {
    let facts = format!(
        "SELECT pg_backend_pid(), (SELECT {} FROM pg_stat_activity WHERE pid = pg_backend_pid()), \
         current_setting('server_version_num')::int >= 170000, {CAN_LOOK_FOR_CLIENT}, \
         current_setting('server_version_num')::int >= 140000",
        start_of("backend_start")
    );
    match scope {
        Scope::Session => format!(
            "{facts}; SELECT set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '1000' {} \
             WHEN 'idle_session_timeout' THEN '{}' ELSE '0' END, false) \
             FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', \
             'idle_session_timeout', 'transaction_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval', \
             'tcp_keepalives_count', 'tcp_user_timeout') \
             OR name = 'client_connection_check_interval' AND {CAN_LOOK_FOR_CLIENT}",
            heartbeat
                .server_settings()
                .map(|(name, value)| format!("WHEN '{name}' THEN '{value}'"))
                .join(" "),
            lease(heartbeat),
        ),
        // Behind a pooler a setting of the session would stay with the pool's next client.
        Scope::Transaction => facts,
    }
}

/// Milliseconds after which the server ends a session that says nothing; 0 is never.
fn lease(heartbeat: Heartbeat) -> u128 {
    heartbeat.lease().map_or(0, |lease| lease.as_millis())
}

/// Whether the server can look for a client that is gone: in version 14 on Linux only, never on Windows.
const CAN_LOOK_FOR_CLIENT: &str = "(current_setting('server_version_num')::int \
     >= CASE WHEN version() ~* 'linux' THEN 140000 ELSE 150000 END AND version() !~* 'visual c|mingw|msvc')";

/// Cancels backend `pid` if it waits for this very lock at this moment; never late, since it looks and hits at once.
pub(crate) fn cancel_waiter(pid: i32, key: Key) -> String {
    format!(
        "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE pid = {pid} AND NOT granted AND {}",
        is_lock(key)
    )
}

/// Ends the backend, if it holds this lock or waits for it.
pub(crate) fn terminate(backend: Backend, key: Key) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE pid = {} \
         AND {} = {} AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND {})",
        backend.pid,
        start_of("backend_start"),
        backend.started.unwrap_or_default(),
        is_lock(key)
    )
}

/// Who holds the lock, our own session last: pid, application name, user, address, query, and when it was taken.
///
/// That time is known while the holder idles after the statement that took it.
pub(crate) fn holder(key: Key) -> String {
    let taken_by = arguments(key).replace('\'', "''");
    format!(
        "SELECT l.pid, a.application_name, a.usename, host(a.client_addr), a.query, \
         CASE WHEN a.state LIKE 'idle%' AND strpos(a.query, '_lock') > 0 AND strpos(a.query, '({taken_by})') > 0 \
         THEN extract(epoch FROM a.state_change) END \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND {} \
         ORDER BY l.pid = pg_backend_pid(), l.mode LIMIT 1",
        is_lock(key)
    )
}

/// Who holds a lock on one of the tables that keeps `mode` out, our own session last: as [`holder`], without a time.
pub(crate) fn table_holder(tables: &[TableName], mode: TableMode) -> String {
    let tables: Vec<String> = tables
        .iter()
        .map(|table| format!("to_regclass({})", literal(&table.to_string())))
        .collect();
    let modes: Vec<String> = mode
        .conflicts()
        .iter()
        .map(|mode| format!("'{}'", mode.pg_locks()))
        .collect();
    format!(
        "SELECT l.pid, a.application_name, a.usename, host(a.client_addr), a.query, NULL \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.locktype = 'relation' \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.relation IN ({}) AND l.mode IN ({}) \
         ORDER BY l.pid = pg_backend_pid(), a.xact_start LIMIT 1",
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
pub(crate) fn set_lock_timeout(wait: Wait) -> String {
    format!(
        "SELECT current_setting('lock_timeout'), {IN_A_TRANSACTION}, \
         set_config('pglock.lock_timeout', current_setting('lock_timeout'), {IN_A_TRANSACTION}), \
         set_config('lock_timeout', '{}', {IN_A_TRANSACTION})",
        lock_timeout(wait)
    )
}

/// Puts `lock_timeout` back to what it was, for the rest of the transaction where it was set in one.
pub(crate) fn restore_lock_timeout(before: &str, in_transaction: bool) -> String {
    format!(
        "SELECT set_config('lock_timeout', {}, {in_transaction})",
        literal(before)
    )
}

/// Undoes a [`set_lock_timeout`] whose answer nobody waited for.
pub(crate) const RESTORE_NOTED_LOCK_TIMEOUT: &str = "SELECT set_config('lock_timeout', current_setting('pglock.lock_timeout'), now() <> statement_timestamp())";

/// A condition on `pg_locks`: this lock, in this database.
fn is_lock(key: Key) -> String {
    let (classid, objid) = key.pg_locks_columns();
    format!(
        "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND classid = {classid} AND objid = {objid} AND objsubid = {}",
        key.objsubid()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_a_session_acquire_looks_for_a_transaction() {
        for wait in [Wait::Try, Wait::Millis(5), Wait::Forever] {
            let sql = acquire_session(Key::Big(1), Mode::Shared, wait);
            assert!(
                sql.split(';')
                    .all(|statement| statement.contains(OUTSIDE_A_TRANSACTION)),
                "{sql}"
            );
        }
    }

    #[test]
    fn literals_and_identifiers_keep_what_is_in_them() {
        assert_eq!(literal(r"it's \ here"), r"E'it''s \\ here'");
        let sql = lock_tables(&[r#"a"b"#.into()], TableMode::Share, Wait::Try);
        assert!(
            sql.contains(r#"LOCK TABLE "a""b" IN SHARE MODE NOWAIT"#),
            "{sql}"
        );
    }

    #[test]
    fn keys_are_written_as_quoted_integers() {
        assert_eq!(
            arguments(Key::Big(i64::MIN)),
            "'-9223372036854775808'::int8"
        );
        assert_eq!(arguments(Key::Pair(-1, 2)), "'-1'::int4, '2'::int4");
    }
}
