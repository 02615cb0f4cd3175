//! Statements that leave something behind when their caller drops them before the answer, and what cleans that up.

use crate::sql;

/// What is sent behind a statement that was dropped before its answer, before anything that the caller sends.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Debug)]
pub struct CleanUp {
    /// For a statement that may wait for a lock. Where the driver can cancel it, that is tried.
    pub(super) wait: Option<CancelWait>,
    /// Against what it did all the same.
    pub(super) undo: Option<String>,
}

/// What is needed around a cancel, which hits whatever runs when it arrives.
#[derive(Debug)]
pub(super) struct CancelWait {
    /// Sent before the wait, to see it begin, and whether there can be one.
    pub(super) started: &'static str,
    /// Against a cancel that comes late.
    pub(super) sleep: &'static str,
    /// After a sleep, and after a wait that had ended by itself and failed.
    pub(super) recover: Option<&'static str>,
}

impl CleanUp {
    /// For a session lock, which `leftover` releases if it was granted all the same.
    pub(crate) fn in_session(waits: bool, leftover: String) -> Self {
        let wait = CancelWait {
            // A transaction begun by hand is refused at once, and must not be aborted by a cancel.
            started: sql::transaction::IS_IN_TRANSACTION,
            sleep: sql::cancel::SLEEP,
            recover: None,
        };
        Self {
            wait: waits.then_some(wait),
            undo: Some(leftover),
        }
    }

    /// For a lock in the caller's transaction, which keeps it if it was granted, and can go on if not. `waits` also
    /// where the statement doesn't, but needs its savepoint when it fails.
    pub(crate) fn in_transaction(waits: bool) -> Self {
        let wait = CancelWait {
            started: "",
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
