//! Locks in a transaction, and savepoints that keep the caller's transaction usable when one is not acquired.

use super::comment::naming;
use super::parts::{arguments, lock_timeout, suffix};
use super::session::{ServerFeatures, lease};
use crate::model::lock_request::LockSpec;
use crate::model::options::WaitPolicy;
use crate::model::table::{self, TableMode, TableName};

/// Acquires a transaction lock in a transaction that this text begins. Timeouts that could end the transaction early are
/// turned off inside it, and the server checks every second that the client is connected.
pub(crate) fn begin_and_acquire(
    lock: &LockSpec,
    wait: WaitPolicy,
    server: ServerFeatures,
) -> String {
    let (key, suffix) = (arguments(lock.key), suffix(lock.mode));
    let lock_timeout = u128::from(lock_timeout(wait).unsigned_abs());
    let mut settings = vec![
        ("statement_timeout", 0),
        ("lock_timeout", lock_timeout),
        (
            "idle_in_transaction_session_timeout",
            lease(server.liveness),
        ),
    ];
    settings.extend(server.liveness.server_settings());
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
    let acquire = format!(
        "BEGIN; SELECT {}; SELECT pg_catalog.{acquire}{suffix}({key})",
        settings.join(", ")
    );
    naming(&lock.id, &acquire)
}

/// Acquires a transaction lock in the caller's transaction.
pub(crate) fn acquire_in_transaction(lock: &LockSpec, wait: WaitPolicy) -> String {
    let (key, suffix) = (arguments(lock.key), suffix(lock.mode));
    let acquire = match wait {
        WaitPolicy::NoWait => format!("SELECT pg_catalog.pg_try_advisory_xact_lock{suffix}({key})"),
        WaitPolicy::Millis(_) | WaitPolicy::Block => wait_in_transaction(
            &format!("SELECT pg_catalog.pg_advisory_xact_lock{suffix}({key})"),
            wait,
            None,
        ),
    };
    naming(&lock.id, &acquire)
}

/// Locks tables in the caller's transaction, and what is below them (partitions, the tables of a view): many locks, which
/// may each be waited for. Without a `wait`, the transaction's own `lock_timeout` applies.
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
        Some(wait @ WaitPolicy::Millis(millis)) => {
            // A little later than `lock_timeout`, so that a wait for a single lock ends by that.
            let limit = millis.saturating_add(10);
            wait_in_transaction(&lock, wait, Some(limit))
        }
        Some(WaitPolicy::Block) => wait_in_transaction(&lock, WaitPolicy::Block, None),
    }
}

/// Runs a statement that waits for a lock in the caller's transaction, and restores the settings afterwards.
///
/// `lock_timeout` limits each wait of the statement by itself, `limit` the whole statement in milliseconds, unless a
/// `statement_timeout` of the session's own is shorter. With the savepoint the transaction stays usable after a failed
/// wait: see [`UNDO_ACQUIRE_IN_TRANSACTION`].
fn wait_in_transaction(statement: &str, wait: WaitPolicy, limit: Option<i32>) -> String {
    let mut set = vec![
        keep("lock_timeout"),
        set_local("lock_timeout", &format!("'{}'", lock_timeout(wait))),
    ];
    let mut restore = vec![restore_kept("lock_timeout")];
    if let Some(limit) = limit {
        let own = "pg_catalog.current_setting('statement_timeout')";
        let limit = format!(
            "CASE WHEN {own}::interval BETWEEN '1 ms' AND '{limit} ms' THEN {own} ELSE '{limit}' END"
        );
        set.extend([
            keep("statement_timeout"),
            set_local("statement_timeout", &limit),
        ]);
        restore.push(restore_kept("statement_timeout"));
    }
    format!(
        "SAVEPOINT pglock; SELECT {}; {statement}; SELECT {}; RELEASE SAVEPOINT pglock",
        set.join(", "),
        restore.join(", ")
    )
}

fn set_local(name: &str, value: &str) -> String {
    format!("pg_catalog.set_config('{name}', {value}, true)")
}

/// Keeps the value of a setting in one of our own.
fn keep(name: &str) -> String {
    let value = format!("pg_catalog.current_setting('{name}')");
    set_local(&format!("pglock.{name}"), &value)
}

fn restore_kept(name: &str) -> String {
    set_local(
        name,
        &format!("pg_catalog.current_setting('pglock.{name}')"),
    )
}

/// Returns a transaction to its state before the savepoint, which is the one before an acquire in the caller's.
pub(crate) const UNDO_ACQUIRE_IN_TRANSACTION: &str =
    "ROLLBACK TO SAVEPOINT pglock; RELEASE SAVEPOINT pglock";

/// Runs a statement that may fail in the caller's transaction. Follow it with [`RELEASE_SAVEPOINT`], or, after a failure,
/// with [`UNDO_ACQUIRE_IN_TRANSACTION`].
pub(crate) fn behind_a_savepoint(statement: &str) -> String {
    format!("SAVEPOINT pglock; {statement}")
}

pub(crate) const RELEASE_SAVEPOINT: &str = "RELEASE SAVEPOINT pglock";

/// Runs statements in a transaction of pglock's own, which goes on without them after a failure and
/// [`UNDO_ACQUIRE_IN_TRANSACTION`].
pub(crate) fn aside(statements: &str) -> String {
    format!("SAVEPOINT pglock; {statements}; {RELEASE_SAVEPOINT}")
}

/// Whether a transaction is open. Fails in an aborted one.
pub(crate) const IS_IN_TRANSACTION: &str =
    "SELECT pg_catalog.now() <> pg_catalog.statement_timestamp()";

pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// Ends a transaction of pglock's own, and fails where an error has aborted it: its lock is gone since then, and `COMMIT`
/// alone would succeed all the same.
pub(crate) const COMMIT: &str = "SELECT; COMMIT";

/// Rolls back any transaction that a caller has left open or aborted. A bare `ROLLBACK` would log a warning in the usual
/// case, without one. Two queries, since the error of `BEGIN` in an aborted transaction skips the rest of its query.
pub(crate) const END_ANY_TRANSACTION: [&str; 2] = ["BEGIN", ROLLBACK];

/// Leaves the session in an aborted transaction: all statements fail until its end. The error of this one says why.
#[cfg(feature = "sqlx")]
pub(crate) const ABORT_TRANSACTION: &str = "BEGIN; \
     SELECT 'rolled back: a call of pglock was dropped half-way in a transaction that was begun by hand'::int";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_keep_what_is_in_them() {
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
}
