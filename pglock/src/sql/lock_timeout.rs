//! Setting a session's `lock_timeout`, and putting it back.

use super::parts::{IN_A_TRANSACTION, literal, lock_timeout};
use crate::model::options::WaitPolicy;

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
