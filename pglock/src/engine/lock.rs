//! A lock as it is asked for on pglock's own sessions.

use std::fmt;

use crate::database::Database;
use crate::model::lock_id::{Key, LockId};
use crate::model::options::{Mode, Scope};
use crate::telemetry::Subject;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) id: LockId,
    pub(crate) label: Option<&'static str>,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) scope: Scope,
    pub(crate) database: Database,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lock {}", self.id)
    }
}

impl Lock {
    /// Whether a caller who holds `held` and waits for `self` waits for itself.
    pub(crate) fn waits_for(&self, held: &Self) -> bool {
        self.is_same_key(held) && (self.mode == Mode::Exclusive || held.mode == Mode::Exclusive)
    }

    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.database == other.database
    }
}

impl From<&Lock> for Subject {
    fn from(lock: &Lock) -> Self {
        Self::advisory(&lock.id, lock.label, lock.mode)
    }
}
