//! Reports what happens to locks, to the crates `tracing` and `metrics` (features of the same names).
//!
//! The rest of the crate reports each event here, once. `spans` and `metrics` decide the names; each has a stand-in
//! that does nothing without the feature.

mod catch_panics;
mod hold;
mod lead;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;
#[cfg_attr(not(feature = "tracing"), path = "no_spans.rs")]
mod spans;
mod subject;
mod tries;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::model::options::OnBusy;

pub(crate) use hold::{HoldRecord, HoldSpan};
pub(crate) use lead::LeaderRecord;
pub(crate) use metrics::SessionGauge;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub(crate) use spans::TraceContext;
pub(crate) use subject::{FailedTry, RetryLabel, SessionRole, SignalReport, Subject};
pub(crate) use tries::{TryEnd, TryRecord};
pub(crate) use wait::WaitReport;

use catch_panics::catch_panics;

/// Whether to look up the holder of a busy lock: for an error, and for a skip if somebody listens. It costs one
/// statement.
pub(crate) fn asks_for_holder(on_busy: OnBusy) -> bool {
    on_busy == OnBusy::Fail || spans::reports_skips()
}

/// One attempt to acquire. Dropping it before [`end`](Attempt::end) records a canceled caller.
#[derive(Debug)]
pub(crate) struct Attempt {
    subject: Subject,
    on_busy: OnBusy,
    began: Instant,
    ended: bool,
    trace: spans::AttemptTrace,
}

impl Attempt {
    pub(crate) fn begin(subject: Subject, on_busy: OnBusy) -> Self {
        catch_panics(|| metrics::attempted(&subject));
        Self {
            trace: spans::AttemptTrace::begin(&subject),
            subject,
            on_busy,
            began: Instant::now(),
            ended: false,
        }
    }

    /// Where to report that it waits for long; `None` if nobody listens.
    pub(crate) fn wait_report(&self) -> Option<Arc<WaitReport>> {
        let context = catch_panics(|| self.trace.reports_waits())??;
        Some(Arc::new(WaitReport {
            subject: self.subject.clone(),
            context,
        }))
    }

    /// Records the outcome.
    pub(crate) fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.ended = true;
        match &result {
            Ok(_) => self.record_end("granted"),
            Err(error) if error.is_busy() && self.on_busy == OnBusy::Skip => {
                catch_panics(|| self.trace.skipped(&self.subject, error.holder()));
                self.record_end("skipped");
            }
            Err(error) => self.record_end(outcome(error.kind())),
        }
        result
    }

    fn record_end(&self, outcome: &'static str) {
        let waited = self.began.elapsed();
        catch_panics(|| metrics::attempt_ended(&self.subject, outcome, waited));
        catch_panics(|| self.trace.ended(outcome, waited));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            catch_panics(|| self.trace.canceled(&self.subject));
            self.record_end("canceled");
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

impl FailedTry<'_> {
    pub(crate) fn emit(&self) {
        catch_panics(|| spans::lock_timed_out(self));
    }
}

impl SignalReport<'_> {
    /// A session of which only the pid is known.
    pub(crate) fn of(pid: i32, action: &'static str) -> Self {
        Self {
            pid,
            action,
            application_name: None,
            user: None,
        }
    }

    pub(crate) fn emit(self, context: &TraceContext) {
        catch_panics(|| metrics::signaled(self));
        catch_panics(|| context.signaled(self));
    }

    /// Reports that it was left alone.
    pub(crate) fn emit_spared(self, context: &TraceContext, why: &dyn fmt::Display) {
        catch_panics(|| context.spared(self, why));
    }
}
