//! Ending waits and sessions.

use super::parts::{is_lock, microseconds};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;

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
        microseconds("backend_start"),
        backend.started.unwrap_or_default(),
        is_lock(key)
    )
}

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
