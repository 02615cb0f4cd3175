//! A lock in one database, on a session of pglock's own.

use std::fmt;
use std::ops::Deref;

use crate::database::Database;
use crate::model::lock_request::LockSpec;
use crate::model::options::{AdvisoryMode, Scope};
use crate::telemetry::Subject;

#[derive(Clone, Debug)]
pub(crate) struct DatabaseLock {
    pub(crate) spec: LockSpec,
    pub(crate) scope: Scope,
    /// Whether it is to be on a session that it shares with no other.
    pub(crate) dedicated: bool,
    /// Whether calls inside the one that holds it share it.
    pub(crate) reentrant: bool,
    pub(crate) database: Database,
}

impl Deref for DatabaseLock {
    type Target = LockSpec;

    fn deref(&self) -> &LockSpec {
        &self.spec
    }
}

impl fmt::Display for DatabaseLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lock {}", self.id)
    }
}

impl DatabaseLock {
    /// Whether a caller that holds `held` would wait for itself by waiting for `self`.
    pub(crate) fn waits_for(&self, held: &Self) -> bool {
        self.is_same_key(held)
            && (self.mode == AdvisoryMode::Exclusive || held.mode == AdvisoryMode::Exclusive)
    }

    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.database == other.database
    }
}

impl From<&DatabaseLock> for Subject {
    fn from(lock: &DatabaseLock) -> Self {
        Self::from(&lock.spec)
    }
}
