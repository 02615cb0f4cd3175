//! Session locks: acquiring, releasing, and releasing what a failed acquire may have left.

use super::comment::naming;
use super::parts::{
    CAN_LOOK_FOR_CLIENT, OUTSIDE_A_TRANSACTION, TRANSACTION_TIMEOUT, arguments, lock_timeout,
    on_backend, pg_locks_mode, suffix,
};
use crate::model::lock_id::Key;
use crate::model::lock_request::LockSpec;
use crate::model::options::{AdvisoryMode, WaitPolicy};

/// Acquires a session lock outside a transaction. Inside one it does nothing and returns no row. The last row of a single
/// try says whether the lock was granted.
///
/// The second statement waits, for a transaction lock that ends with the implicit transaction; the third finds that lock
/// granted to its own session and never waits. If `pg_advisory_lock` itself waited, a timeout that fires just after the
/// grant would report an error and leave the session lock behind. During the wait the server checks every second that the
/// client is still connected.
///
/// With a `pid`, it also does nothing on any other backend. Such a session is pglock's own and has no timeouts, so that a
/// wait without one is a single statement: each more is between the grant and the answer. What a cancel leaves is released
/// as after any error. Without a `pid`, on a caller's connection, it waits for a slice of the time at most.
pub(crate) fn acquire_session(lock: &LockSpec, wait: WaitPolicy, pid: Option<i32>) -> String {
    let (key, suffix) = (arguments(lock.key), suffix(lock.mode));
    let guard = format!("{OUTSIDE_A_TRANSACTION}{}", on_backend(pid));
    let acquire = match wait {
        WaitPolicy::NoWait => {
            format!("SELECT pg_catalog.pg_try_advisory_lock{suffix}({key}) {guard}")
        }
        WaitPolicy::Block if pid.is_some() => {
            format!("SELECT pg_catalog.pg_advisory_lock{suffix}({key}) {guard}")
        }
        WaitPolicy::Millis(_) | WaitPolicy::Block => format!(
            "SELECT {} {guard}; \
             SELECT pg_catalog.pg_advisory_xact_lock{suffix}({key}) {guard}; \
             SELECT pg_catalog.pg_advisory_lock{suffix}({key}) {guard}",
            settings_of_a_wait(wait, pid)
        ),
    };
    naming(&lock.id, &acquire)
}

/// Milliseconds for which a statement waits on a caller's connection. The server looks for deadlocks once, when a statement
/// has waited for `deadlock_timeout`: a shorter one would hide them.
const SLICE: &str = "(extract(epoch FROM pg_catalog.current_setting('deadlock_timeout')::interval)::numeric * 2000::numeric)::bigint";

/// What a wait sets until the end of its implicit transaction. A session of pglock's own has all but the time to wait from
/// its beginning, and setting it again would cost more than the wait for a free lock.
fn settings_of_a_wait(wait: WaitPolicy, own: Option<i32>) -> String {
    let millis = lock_timeout(wait);
    if own.is_some() {
        return format!("pg_catalog.set_config('lock_timeout', '{millis}', true)");
    }
    let slice = match wait {
        WaitPolicy::Block => format!("least({SLICE}, {}::bigint)", i32::MAX),
        WaitPolicy::NoWait | WaitPolicy::Millis(_) => format!("least({SLICE}, {millis}::bigint)"),
    };
    format!(
        "pg_catalog.set_config('statement_timeout', '0', true), \
         pg_catalog.set_config('lock_timeout', {slice}::pg_catalog.text, true), \
         pg_catalog.set_config({TRANSACTION_TIMEOUT}, '0', true), \
         pg_catalog.set_config(CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN 'client_connection_check_interval' ELSE 'statement_timeout' END, \
         CASE WHEN {CAN_LOOK_FOR_CLIENT} THEN '1000' ELSE '0' END, true)"
    )
}

/// Releases a session lock outside a transaction: whether it was held. Inside one it does nothing and returns no row. The
/// session keeps the `release_token`, for [`release_unless_done`].
pub(crate) fn release_session(key: Key, mode: AdvisoryMode, release_token: Option<u64>) -> String {
    format!(
        "{} {OUTSIDE_A_TRANSACTION}",
        release_session_anywhere(key, mode, release_token)
    )
}

/// Releases a session lock of our own session, on backend `pid` only. Behind a pooler another backend may hold the same lock
/// for another client; there it does nothing and returns no row.
pub(crate) fn release_own(key: Key, mode: AdvisoryMode, pid: i32) -> String {
    format!(
        "{} {OUTSIDE_A_TRANSACTION}{}",
        unlock(key, mode),
        on_backend(Some(pid))
    )
}

/// Releases a session lock inside a transaction too; it fails only in an aborted one.
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

/// Releases a session lock, unless an earlier release with this token has done so, of which nobody has read the answer.
pub(crate) fn release_unless_done(key: Key, mode: AdvisoryMode, release_token: u64) -> String {
    format!(
        "{} WHERE pg_catalog.current_setting('pglock.released', true) IS DISTINCT FROM '{release_token}'",
        release_session_anywhere(key, mode, Some(release_token))
    )
}

fn unlock(key: Key, mode: AdvisoryMode) -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_unlock{}({})",
        suffix(mode),
        arguments(key)
    )
}

/// Like [`release_leftover`], on backend `pid` only: the first row says whether this is it.
pub(crate) fn release_own_leftover(key: Key, mode: AdvisoryMode, pid: i32) -> String {
    format!(
        "SELECT pg_catalog.pg_backend_pid() = {pid}; {}{}",
        release_leftover(key, mode),
        on_backend(Some(pid))
    )
}

/// Releases a session lock that a failed acquire may have left. Without one it returns no row, and Postgres logs no warning.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_a_session_acquire_looks_for_a_transaction_and_the_backend() {
        for wait in [WaitPolicy::NoWait, WaitPolicy::Millis(5), WaitPolicy::Block] {
            let lock = LockSpec::new(1.into(), AdvisoryMode::Shared, None).unwrap();
            let sql = acquire_session(&lock, wait, Some(7));
            let guarded = |statement: &str| {
                statement.contains(OUTSIDE_A_TRANSACTION)
                    && statement.ends_with("pg_backend_pid() = 7")
            };
            assert!(sql.split(';').skip(1).all(guarded), "{sql}");
        }
    }
}
