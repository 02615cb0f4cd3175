//! Setting and restoring a session's `lock_timeout`.

use super::parts::{IN_A_TRANSACTION, literal, lock_timeout};
use crate::model::options::WaitPolicy;

/// Sets `lock_timeout`, inside a transaction until its end. Returns the old value and whether there is a transaction. The old
/// value is also kept in a setting of the session, for [`UNDO_SET_LOCK_TIMEOUT`].
pub(crate) fn set_lock_timeout(wait: WaitPolicy) -> String {
    format!(
        "SELECT pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}, \
         pg_catalog.set_config('pglock.lock_timeout', pg_catalog.current_setting('lock_timeout'), {IN_A_TRANSACTION}), \
         pg_catalog.set_config('lock_timeout', '{}', {IN_A_TRANSACTION})",
        lock_timeout(wait)
    )
}

/// Restores `lock_timeout`, inside a transaction until its end if it was set inside one.
pub(crate) fn restore_lock_timeout(before: &str, in_transaction: bool) -> String {
    format!(
        "SELECT pg_catalog.set_config('lock_timeout', {}, {in_transaction})",
        literal(before)
    )
}

/// Undoes a [`set_lock_timeout`] whose answer was dropped.
pub(crate) const UNDO_SET_LOCK_TIMEOUT: &str = "SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('pglock.lock_timeout'), pg_catalog.now() <> pg_catalog.statement_timestamp())";
