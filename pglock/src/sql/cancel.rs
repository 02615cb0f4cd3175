//! Ending waits and sessions.

use super::parts::{is_lock, microseconds};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;

/// Cancels backend `pid` if it waits for this lock. It checks and signals in one statement, so it cannot come too late.
pub(crate) fn cancel_waiter(pid: i32, key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_locks WHERE pid = {pid} AND NOT granted AND {}",
        is_lock(key)
    )
}

/// Terminates the backend if it holds this lock or waits for it.
pub(crate) fn terminate(backend: Backend, key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity a WHERE pid = {} \
         AND {} = {} AND EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND {})",
        backend.pid,
        microseconds("backend_start"),
        backend.started.unwrap_or_default(),
        is_lock(key)
    )
}

/// Terminates this session, for one whose state is unknown.
pub(crate) const TERMINATE_OWN_SESSION: &str =
    "SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())";

/// How many sleeps are sent after a wait that is to be canceled, each as its own query: 0.8 s in all.
pub(crate) const SLEEPS: usize = 4;

/// Takes a cancel that arrives after the wait. In a transaction it does not sleep: a cancel there would abort it.
pub(crate) const SLEEP: &str =
    "SELECT pg_catalog.pg_sleep(0.2) WHERE pg_catalog.now() = pg_catalog.statement_timestamp()";

/// The same in the caller's transaction, followed by `UNDO_ACQUIRE_IN_TRANSACTION`: that returns to this savepoint, or to
/// the acquire's, if the acquire failed and this statement with it.
pub(crate) const SLEEP_IN_TRANSACTION: &str = "SAVEPOINT pglock; SELECT pg_catalog.pg_sleep(0.2)";
