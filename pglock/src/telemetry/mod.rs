//! What becomes of locks, told as it happens: to `tracing` and to `metrics`, features both.
//!
//! The rest of the crate says here, and once, what has happened. What that is called is in `traces` and `measures`; those
//! do nothing without their feature.

#[cfg_attr(not(feature = "metrics"), path = "no_measures.rs")]
mod measures;
#[cfg_attr(not(feature = "tracing"), path = "no_traces.rs")]
mod traces;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::model::lock_id::LockId;
use crate::model::options::Mode;
use crate::model::table::{self, TableMode, TableName};

#[cfg(feature = "metrics")]
pub use measures::describe_metrics;
pub(crate) use traces::{InHold, Origin};

/// What locks without a label are called in metrics.
const UNLABELED: &str = "unlabeled";

/// Tells, and goes on if a subscriber or a recorder panics. That would end what is told of: a lock that was just granted
/// would be held by nobody, on a session that is used again, and a watcher would watch no more.
fn undisturbed<R>(tell: impl FnOnce() -> R) -> Option<R> {
    // What is theirs is for them to mend, and nothing of ours is changed in there.
    catch_unwind(AssertUnwindSafe(tell)).ok()
}

/// Whether to look up who has a busy lock: for an error, and where a skip is told of. It is a statement more.
pub(crate) fn asks_for_holder(skips: bool) -> bool {
    !skips || traces::tells_skips()
}

/// A lock, as it is told of.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "the features read it")
)]
pub(crate) struct Subject {
    /// Its ID. There may be one for each customer, which is too many for metrics.
    lock: String,
    label: &'static str,
    mode: &'static str,
}

impl Subject {
    pub(crate) fn advisory(id: &LockId, label: Option<&'static str>, mode: Mode) -> Self {
        Self {
            lock: match id {
                LockId::Name(name) => name.to_string(),
                LockId::Key(_) | LockId::Pair(..) => id.to_string(),
            },
            label: label.unwrap_or(UNLABELED),
            mode: match mode {
                Mode::Exclusive => "exclusive",
                Mode::Shared => "shared",
            },
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

/// A lock that is asked for. Dropped before it ends, its caller has gone away.
#[derive(Debug)]
pub(crate) struct Attempt {
    subject: Subject,
    /// Whether the caller goes on without the lock where it is busy.
    skips: bool,
    began: Instant,
    ended: bool,
    trace: traces::Acquire,
}

impl Attempt {
    pub(crate) fn begin(subject: Subject, skips: bool) -> Self {
        measures::attempted(&subject);
        Self {
            trace: traces::Acquire::begin(&subject),
            subject,
            skips,
            began: Instant::now(),
            ended: false,
        }
    }

    /// Tells what has come of it.
    pub(crate) fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.ended = true;
        match &result {
            Ok(_) => self.tell("granted"),
            Err(error) if error.is_busy() && self.skips => {
                undisturbed(|| self.trace.skipped(&self.subject, error.holder()));
                self.tell("skipped");
            }
            Err(error) => self.tell(outcome(error.kind())),
        }
        result
    }

    fn tell(&self, outcome: &'static str) {
        let waited = self.began.elapsed();
        undisturbed(|| measures::attempt_ended(&self.subject, outcome, waited));
        undisturbed(|| self.trace.ended(outcome, waited));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            undisturbed(|| self.trace.canceled(&self.subject));
            self.tell("canceled");
        }
    }
}

fn outcome(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Busy => "busy",
        ErrorKind::Lost => "lost",
        ErrorKind::Deadlock => "deadlock",
        ErrorKind::Connect => "connect",
        ErrorKind::Database => "database",
        ErrorKind::Config => "config",
        ErrorKind::SideEffect => "side_effect",
        ErrorKind::Environment => "environment",
    }
}

/// A lock that is held. How that ends is told once: its loss when it is known, or else its release.
#[derive(Debug)]
pub(crate) struct Holding {
    subject: Subject,
    began: Instant,
    over: AtomicBool,
    trace: traces::Hold,
}

impl Holding {
    pub(crate) fn begin(subject: Subject, origin: &Origin) -> Self {
        Self {
            trace: traces::Hold::begin(&subject, origin),
            subject,
            began: Instant::now(),
            over: AtomicBool::new(false),
        }
    }

    /// What the body under the lock runs in.
    pub(crate) fn inside(&self) -> InHold {
        self.trace.inside()
    }

    pub(crate) fn lost(&self, why: &dyn fmt::Display) {
        if self.is_over_now() {
            undisturbed(|| self.trace.lost(&self.subject, why));
            self.tell("lost");
        }
    }

    /// Tells what the release has found.
    pub(crate) fn released(&self, result: &Result<(), Error>) {
        match result {
            Err(error) if error.is_lost() => self.lost(error),
            // Whatever else went wrong, it was held until now.
            Ok(()) | Err(_) => {
                if self.is_over_now() {
                    self.tell("released");
                }
            }
        }
    }

    fn is_over_now(&self) -> bool {
        !self.over.swap(true, Ordering::Relaxed)
    }

    fn tell(&self, outcome: &'static str) {
        let held = self.began.elapsed();
        undisturbed(|| measures::hold_ended(&self.subject, outcome, held));
        undisturbed(|| self.trace.ended(outcome, held));
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.lost(&"pglock's thread ended, or this process was forked from the one that has it");
    }
}

/// A session that was canceled or terminated for being in the way.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "the features read it")
)]
pub(crate) struct Kill<'k> {
    pub(crate) pid: i32,
    pub(crate) action: &'static str,
    pub(crate) application_name: Option<&'k str>,
    pub(crate) user: Option<&'k str>,
}

impl Kill<'_> {
    /// One of which only the pid is known.
    pub(crate) fn of(pid: i32, action: &'static str) -> Self {
        Self {
            pid,
            action,
            application_name: None,
            user: None,
        }
    }

    pub(crate) fn tell(self, origin: &Origin) {
        undisturbed(|| measures::killed(self));
        undisturbed(|| origin.killed(self));
    }

    /// Tells that nothing was done to it.
    pub(crate) fn tell_spared(self, origin: &Origin, why: &dyn fmt::Display) {
        undisturbed(|| origin.spared(self, why));
    }
}
