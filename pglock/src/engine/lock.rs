//! A lock in one database, on a session of pglock's own.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::database::Database;
use crate::model::lock_request::LockSpec;
use crate::model::options::{AdvisoryMode, Scope};
use crate::model::permits::Permits;
use crate::telemetry::{HoldRecord, Subject, TraceContext};

#[derive(Clone, Debug)]
pub(crate) struct DatabaseLock {
    pub(crate) spec: LockSpec,
    pub(crate) scope: Scope,
    /// Whether it is to be on a session that it shares with no other.
    pub(crate) dedicated: bool,
    /// Whether calls inside the one that holds it share it.
    pub(crate) reentrant: bool,
    /// `None` for one that was asked for by its ID, as nearly all are.
    pub(crate) purpose: Option<Box<Purpose>>,
    pub(crate) database: Database,
}

/// What is done once a lock has been granted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GrantRules {
    /// It is not acquired for a run that would begin within this time of the one before.
    pub(crate) once_in: Option<Duration>,
    /// It has a token.
    pub(crate) fenced: bool,
}

/// What a lock is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// It was asked for by its ID, and more is done before it is had.
    Ruled(GrantRules),
    /// These locks were asked for, and this one only stands for them.
    All(Vec<LockSpec>),
    /// A limit was asked for by its ID. No such lock is held, but a permit of it.
    Limit(Permits),
    /// It is the permit of this number, of a limit. It may be given back before its caller has it.
    Permit(u32),
    /// It may be given back before its caller has it.
    Tentative,
    /// It is a part of a limit.
    Part,
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

    /// Whether what is asked for is had by holding `held`.
    pub(crate) fn is_had_by(&self, held: &Self) -> bool {
        match (self.purpose.as_deref(), held.purpose.as_deref()) {
            (Some(Purpose::Limit(_)), Some(Purpose::Permit(number))) => {
                held.id == Permits::slot_id(&self.id, *number)
                    && self.isolation == held.isolation
                    && self.database == held.database
            }
            (Some(Purpose::Limit(_)), _) => false,
            _ => self.is_same_key(held),
        }
    }

    /// Begins the record of its hold.
    pub(super) fn begin_record(&self, context: &TraceContext) -> HoldRecord {
        match self.purpose.as_deref() {
            Some(Purpose::Part) => HoldRecord::unreported(Subject::from(self)),
            Some(Purpose::Permit(_) | Purpose::Tentative) => {
                HoldRecord::tentative(Subject::from(self), context)
            }
            _ => HoldRecord::begin(Subject::from(self), context),
        }
    }

    /// Another lock in the same database, with the same options.
    pub(crate) fn with_spec(&self, spec: LockSpec, purpose: Option<Purpose>) -> Self {
        Self {
            spec,
            scope: self.scope,
            dedicated: self.dedicated,
            reentrant: self.reentrant,
            purpose: purpose.map(Box::new),
            database: self.database.clone(),
        }
    }
}

impl From<&DatabaseLock> for Subject {
    fn from(lock: &DatabaseLock) -> Self {
        match lock.purpose.as_deref() {
            Some(Purpose::All(locks)) => Self::all(locks),
            _ => Self::from(&lock.spec),
        }
    }
}
