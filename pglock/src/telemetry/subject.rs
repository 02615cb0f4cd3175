//! What is reported: locks and signaled sessions, as plain values.

use std::time::Duration;

use crate::error::Holder;
use crate::model::lock_request::LockSpec;
use crate::model::options::AdvisoryMode;
use crate::model::table::{self, TableMode, TableName};

/// The label of locks without a label in metrics.
const UNLABELED: &str = "unlabeled";

/// A lock, as spans and metrics describe it.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "the features read it")
)]
pub(crate) struct Subject {
    /// Its ID. There may be one per customer, which is too many series for metrics.
    pub(super) lock: String,
    pub(super) label: &'static str,
    pub(super) mode: &'static str,
}

impl From<&LockSpec> for Subject {
    fn from(lock: &LockSpec) -> Self {
        Self {
            lock: lock.id.plain(),
            label: lock.label.unwrap_or(UNLABELED),
            mode: match lock.mode {
                AdvisoryMode::Exclusive => "exclusive",
                AdvisoryMode::Shared => "shared",
            },
        }
    }
}

impl Subject {
    /// Locks that are acquired together.
    pub(crate) fn all(locks: &[LockSpec]) -> Self {
        let names: Vec<_> = locks.iter().map(|lock| lock.id.plain()).collect();
        Self {
            lock: names.join(", "),
            ..locks.first().map_or_else(Self::none, Self::from)
        }
    }

    fn none() -> Self {
        Self {
            lock: String::new(),
            label: UNLABELED,
            mode: "",
        }
    }

    pub(crate) fn tables(names: &[TableName], mode: TableMode) -> Self {
        Self {
            lock: table::list(names),
            label: "tables",
            mode: mode.as_str(),
        }
    }
}

/// A session that was canceled or terminated because it blocked others.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "the features read it")
)]
pub(crate) struct SignalReport<'r> {
    pub(crate) pid: i32,
    pub(crate) action: &'static str,
    pub(crate) application_name: Option<&'r str>,
    pub(crate) user: Option<&'r str>,
}

/// How a body ended that did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// Its caller dropped the future.
    Dropped = 1,
    Panicked = 2,
}

/// What a session of pglock's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SessionRole {
    /// The locks of many callers.
    Shared,
    /// Waiting for a lock, on behalf of all who want it, and holding it then.
    Wait,
    /// What is done beside the locks.
    Helper,
    /// One lock.
    Own,
    /// Nothing: it is kept for the next one.
    Idle,
}

/// What is retried, as spans and metrics call it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryLabel(pub(super) &'static str);

impl Default for RetryLabel {
    fn default() -> Self {
        Self(UNLABELED)
    }
}

impl RetryLabel {
    pub(crate) fn new(label: &'static str) -> Self {
        Self(label)
    }
}

/// A try in which a lock timed out, and after which there is another one.
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "only an event reads it")
)]
pub(crate) struct FailedTry<'a> {
    pub(crate) label: RetryLabel,
    /// From 1 on.
    pub(crate) try_number: u32,
    pub(crate) tries: u32,
    /// Its lock timeout.
    pub(crate) limit: Option<Duration>,
    /// How long it is until the next one.
    pub(crate) pause: Duration,
    /// Who was in the way.
    pub(crate) holder: Option<&'a Holder>,
}
