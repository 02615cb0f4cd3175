//! Setting and restoring a session's `lock_timeout`.

use super::parts::{IN_A_TRANSACTION, literal, lock_timeout};
use crate::model::options::WaitPolicy;

/// Sets `lock_timeout`, inside a transaction until its end. Returns the old value, whether there is a transaction, and the
/// backend. The old value is also kept in a setting of the session, with the name of
/// the scope, for [`undo_set_lock_timeout`].
pub(crate) fn set_lock_timeout(wait: WaitPolicy, scope: &str) -> String {
    format!(
        "SELECT pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}, pg_catalog.pg_backend_pid(), \
         pg_catalog.set_config('pglock.lock_timeout', pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}), \
         pg_catalog.set_config('pglock.lock_timeout_of', {}, {IN_A_TRANSACTION}), \
         pg_catalog.set_config('lock_timeout', '{}', {IN_A_TRANSACTION})",
        literal(scope),
        lock_timeout(wait)
    )
}

/// Restores `lock_timeout` on the backend where it was set, inside a transaction until its end if it was set inside one. On
/// another, to which a pooler has moved the connection, it does nothing and returns no row.
pub(crate) fn restore_lock_timeout(before: &str, in_transaction: bool, backend: i32) -> String {
    format!(
        "SELECT pg_catalog.set_config('lock_timeout', {}, {in_transaction}) WHERE pg_catalog.pg_backend_pid() = {backend}",
        literal(before)
    )
}

/// Undoes a [`set_lock_timeout`] whose answer was dropped, in the session that ran it: a pooler may have moved the connection
/// to another, which may have kept a value of another scope.
pub(crate) fn undo_set_lock_timeout(scope: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('pglock.lock_timeout', true), {IN_A_TRANSACTION}) \
         WHERE pg_catalog.current_setting('pglock.lock_timeout_of', true) = {}",
        literal(scope)
    )
}
