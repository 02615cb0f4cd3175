//! Clean-up after a statement whose future is dropped before the answer: it may still wait, or acquire a lock.

use crate::model::lock_request::LockSpec;
use crate::model::options::WaitPolicy;
use crate::sql;

/// What is sent after a statement that was dropped before its answer. It runs before any later statement of the caller.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Clone, Debug)]
pub struct CleanUp {
    /// For a statement that may wait for a lock. Drivers that can cancel try it.
    pub(super) wait: Option<CancelWait>,
    /// Reverts what the statement did, if it did it.
    pub(super) undo: Option<String>,
}

/// Guards a cancel, which interrupts whatever the session runs when it arrives.
#[derive(Clone, Debug)]
pub(super) struct CancelWait {
    /// Sent before the wait: its answer shows that the wait begins, or that there is none.
    pub(super) started: &'static str,
    /// For drivers whose answers end with their future, which have to know it before: an attempt that does not wait. If it is
    /// not granted, nothing is under way, and the wait begins. Without one, any statement shows that.
    #[cfg_attr(not(feature = "diesel-async"), expect(dead_code))]
    pub(super) attempt: Option<String>,
    /// Sent after the wait: takes the cancel that arrives too late.
    pub(super) sleep: &'static str,
    /// Sent after each sleep, and after a wait that had already failed.
    pub(super) recover: Option<&'static str>,
}

impl CleanUp {
    /// For a session lock.
    pub(crate) fn in_session(lock: &LockSpec, wait: WaitPolicy) -> Self {
        let waits = wait != WaitPolicy::NoWait;
        let wait = || CancelWait {
            // In a transaction that was begun by hand the acquire does nothing, and a cancel would abort the transaction.
            started: sql::transaction::IS_IN_TRANSACTION,
            attempt: Some(sql::advisory::acquire_session(
                lock,
                WaitPolicy::NoWait,
                None,
            )),
            sleep: sql::cancel::SLEEP,
            recover: None,
        };
        Self {
            wait: waits.then(wait),
            undo: Some(sql::advisory::release_leftover(lock.key, lock.mode)),
        }
    }

    /// For a lock in the caller's transaction: the transaction keeps it if it was granted, and continues if not. `waits` is
    /// also true for a statement that never waits but leaves a savepoint when it fails.
    pub(crate) fn in_transaction(waits: bool) -> Self {
        let wait = CancelWait {
            started: "",
            attempt: None,
            sleep: sql::cancel::SLEEP_IN_TRANSACTION,
            recover: Some(sql::transaction::UNDO_ACQUIRE_IN_TRANSACTION),
        };
        Self {
            wait: waits.then_some(wait),
            undo: None,
        }
    }

    /// For a setting.
    pub(crate) fn of_setting(restore: &str) -> Self {
        Self {
            wait: None,
            undo: Some(restore.to_owned()),
        }
    }
}
