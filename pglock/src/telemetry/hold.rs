//! Locks that are held: how the body under them ends, and how the hold itself does.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::catch_panics::catch_panics;
use super::metrics;
use super::spans::{BodySpan, HoldTrace, TraceContext};
use super::subject::{BodyEnd, Subject};
use crate::error::Error;

/// A lock that is held. Its end is recorded once: as lost when that is known, otherwise at its release, by how its body
/// ended.
#[derive(Debug)]
pub(crate) struct HoldRecord {
    subject: Subject,
    /// Nothing is reported of it before.
    begun: OnceLock<Begun>,
    /// Where it is to be reported once its caller has it.
    later: Option<TraceContext>,
    over: AtomicBool,
    /// A [`BodyEnd`], or 0.
    body_end: AtomicU8,
    kept: AtomicBool,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    trace: HoldTrace,
}

impl Begun {
    fn now(subject: &Subject, context: &TraceContext) -> Self {
        Self {
            trace: HoldTrace::begin(subject, context),
            at: Instant::now(),
        }
    }
}

impl HoldRecord {
    pub(crate) fn begin(subject: Subject, context: &TraceContext) -> Self {
        let begun = Begun::now(&subject, context);
        Self::new(subject, Some(begun), None)
    }

    /// Of a lock that may be given back before its caller has it.
    pub(crate) fn tentative(subject: Subject, context: &TraceContext) -> Self {
        Self::new(subject, None, Some(context.clone()))
    }

    /// Of a lock that is a part of another one, of which nothing is reported.
    pub(crate) fn unreported(subject: Subject) -> Self {
        Self::new(subject, None, None)
    }

    fn new(subject: Subject, begun: Option<Begun>, later: Option<TraceContext>) -> Self {
        Self {
            subject,
            over: AtomicBool::new(begun.is_none()),
            begun: begun.map_or_else(OnceLock::new, OnceLock::from),
            later,
            body_end: AtomicU8::new(0),
            kept: AtomicBool::new(false),
        }
    }

    /// Begins the report of a [tentative](HoldRecord::tentative) one: its caller has it from now on.
    pub(crate) fn begin_now(&self) {
        if let Some(context) = &self.later {
            let begun = Begun::now(&self.subject, context);
            if self.begun.set(begun).is_ok() {
                // Who ends it sees that it has begun.
                self.over.store(false, Ordering::Release);
            }
        }
    }

    /// What the body under the lock runs in.
    pub(crate) fn span(self: &Arc<Self>) -> HoldSpan {
        HoldSpan {
            span: self.trace().map_or_else(BodySpan::none, HoldTrace::span),
            record: Some(Arc::clone(self)),
        }
    }

    fn trace(&self) -> Option<&HoldTrace> {
        self.begun.get().map(|begun| &begun.trace)
    }

    /// The call is over, and from now on the lock is only kept.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, why: &dyn fmt::Display) {
        if self.end_once() {
            let kept = self.kept.load(Ordering::Relaxed);
            if let Some(trace) = self.trace() {
                catch_panics(|| trace.lost(&self.subject, why, kept));
            }
            self.record_end("lost");
        }
    }

    /// Records the result of the release.
    pub(crate) fn released(&self, result: &Result<(), Error>) {
        match result {
            Err(error) if error.is_lost() => self.lost(error),
            // Whatever else went wrong, the lock was held until now.
            Ok(()) | Err(_) => {
                if self.end_once() {
                    let body_end = self.body_end.load(Ordering::Relaxed);
                    self.record_end(match body_end {
                        end if end == BodyEnd::Dropped as u8 => "dropped",
                        end if end == BodyEnd::Panicked as u8 => "panicked",
                        _ => "released",
                    });
                }
            }
        }
    }

    fn body_ended(&self, end: BodyEnd) {
        let is_first = self
            .body_end
            .compare_exchange(0, end as u8, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        // A loss has been reported already.
        if is_first
            && !self.over.load(Ordering::Relaxed)
            && let Some(trace) = self.trace()
        {
            catch_panics(|| trace.body_ended(&self.subject, end));
        }
    }

    fn end_once(&self) -> bool {
        !self.over.swap(true, Ordering::AcqRel)
    }

    fn record_end(&self, outcome: &'static str) {
        if let Some(Begun { at, trace }) = self.begun.get() {
            let held = at.elapsed();
            catch_panics(|| metrics::hold_ended(&self.subject, outcome, held));
            catch_panics(|| trace.ended(outcome, held));
        }
    }
}

impl Drop for HoldRecord {
    fn drop(&mut self) {
        self.lost(&"pglock's thread ended, or this process is a fork of the one that holds it");
    }
}

/// What a body under a lock runs in: the span of the hold, and the record of how the body ends.
#[derive(Clone, Debug)]
pub(crate) struct HoldSpan {
    span: BodySpan,
    record: Option<Arc<HoldRecord>>,
}

impl HoldSpan {
    /// Nothing is recorded.
    pub(crate) fn none() -> Self {
        Self {
            span: BodySpan::none(),
            record: None,
        }
    }

    /// For a call that shares the lock of a call around it, whose body alone counts.
    pub(crate) fn of_inner_call(self) -> Self {
        Self {
            record: None,
            ..self
        }
    }

    /// Runs the body, or a part of it. It has panicked if this does not return.
    pub(crate) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        let unfinished = Unfinished {
            span: self,
            end: BodyEnd::Panicked,
        };
        let result = self.span.run(body);
        unfinished.finished();
        result
    }

    /// To be held while an async body is there.
    pub(crate) fn until_finished(&self) -> Unfinished<'_> {
        Unfinished {
            span: self,
            end: BodyEnd::Dropped,
        }
    }
}

/// A body that has begun. Dropping this before [`finished`](Unfinished::finished) records how the body has ended.
pub(crate) struct Unfinished<'s> {
    span: &'s HoldSpan,
    end: BodyEnd,
}

impl Unfinished<'_> {
    pub(crate) fn finished(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(record) = &self.span.record {
            record.body_ended(self.end);
        }
    }
}
