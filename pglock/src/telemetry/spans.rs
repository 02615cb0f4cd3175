//! The spans and events of the feature `tracing`. Their names are part of the public documentation.

use std::fmt;
use std::time::Duration;

use tracing::dispatcher::{self, Dispatch};
use tracing::field::Empty;
use tracing::{Level, Span, debug, error, event_enabled, info, info_span, warn};

use super::catch_panics::catch_panics;
use super::subject::{BodyEnd, FailedTry, SignalReport, Subject};
use crate::error::Holder;

/// Whether a subscriber listens to skips, which then cost a statement that looks up the holder.
pub(super) fn reports_skips() -> bool {
    catch_panics(|| event_enabled!(target: "pglock::skip", Level::DEBUG)).unwrap_or(false)
}

/// An event about a lock that somebody else has.
macro_rules! busy_event {
    ($event:ident, $name:literal, $target:literal, $parent:expr, $subject:expr, $holder:expr, $($rest:tt)*) => {{
        let (subject, holder): (&Subject, Option<&Holder>) = ($subject, $holder);
        $event!(
            name: $name,
            target: $target,
            parent: $parent,
            lock = subject.lock,
            mode = subject.mode,
            holder.pid = holder.map(|holder| holder.pid),
            holder.application_name = holder.map(|holder| holder.application_name.as_str()),
            holder.user = holder.and_then(|holder| holder.user.as_deref()),
            holder.client_addr = holder.and_then(|holder| holder.client_addr).map(tracing::field::display),
            holder.held_ms = holder.and_then(|holder| holder.held_for).map(millis),
            holder.kept_ms = holder.and_then(|holder| holder.kept_for).map(millis),
            holder.this_process = holder.map(|holder| holder.this_process),
            $($rest)*
        );
    }};
}

/// The span and the subscriber of the place where something was requested. What pglock's thread reports about it later
/// goes there.
#[derive(Clone, Debug)]
pub(crate) struct TraceContext {
    span: Span,
    subscriber: Dispatch,
}

impl TraceContext {
    pub(crate) fn here() -> Self {
        Self {
            span: Span::current(),
            subscriber: dispatcher::get_default(Clone::clone),
        }
    }

    /// Where nobody listens.
    pub(crate) fn nowhere() -> Self {
        Self {
            span: Span::none(),
            subscriber: Dispatch::none(),
        }
    }

    fn emit<R>(&self, emit: impl FnOnce() -> R) -> R {
        dispatcher::with_default(&self.subscriber, emit)
    }

    pub(super) fn waits(&self, subject: &Subject, waited: Duration, holder: Option<&Holder>) {
        self.emit(|| {
            busy_event!(
                info,
                "pglock.wait",
                "pglock::wait",
                self.span.id(),
                subject,
                holder,
                waited_ms = millis(waited),
                "still waiting for a lock",
            );
        });
    }

    pub(super) fn spared(&self, report: SignalReport<'_>, why: &dyn fmt::Display) {
        self.emit(|| {
            warn!(
                name: "pglock.spared",
                target: "pglock::spared",
                parent: self.span.id(),
                pid = report.pid,
                application_name = report.application_name,
                user = report.user,
                "left a blocking session alone: {why}",
            );
        });
    }

    pub(super) fn signaled(&self, report: SignalReport<'_>) {
        self.emit(|| {
            warn!(
                name: "pglock.signal",
                target: "pglock::signal",
                parent: self.span.id(),
                pid = report.pid,
                action = report.action,
                application_name = report.application_name,
                user = report.user,
                "{} a blocking session",
                report.action,
            );
        });
    }
}

#[derive(Debug)]
pub(super) struct AttemptTrace(Span);

impl AttemptTrace {
    pub(super) fn begin(subject: &Subject) -> Self {
        let span = catch_panics(|| {
            info_span!(
                target: "pglock",
                "pglock.acquire",
                lock = subject.lock,
                label = subject.label,
                mode = subject.mode,
                waited_ms = Empty,
                outcome = Empty,
            )
        });
        Self(span.unwrap_or_else(Span::none))
    }

    pub(super) fn skipped(&self, subject: &Subject, holder: Option<&Holder>) {
        busy_event!(
            debug,
            "pglock.skip",
            "pglock::skip",
            &self.0,
            subject,
            holder,
            "skipped because the lock is busy",
        );
    }

    /// Where to report that it waits for long, if a subscriber listens.
    pub(super) fn reports_waits(&self) -> Option<TraceContext> {
        event_enabled!(target: "pglock::wait", Level::INFO).then(|| TraceContext {
            span: self.0.clone(),
            subscriber: dispatcher::get_default(Clone::clone),
        })
    }

    pub(super) fn canceled(&self, subject: &Subject) {
        info!(
            name: "pglock.cancel",
            target: "pglock::cancel",
            parent: &self.0,
            lock = subject.lock,
            mode = subject.mode,
            "the caller went away while it waited for the lock",
        );
    }

    pub(super) fn ended(&self, outcome: &str, waited: Duration) {
        self.0.record("waited_ms", millis(waited));
        self.0.record("outcome", outcome);
    }
}

#[derive(Debug)]
pub(super) struct HoldTrace {
    span: BodySpan,
    context: TraceContext,
}

impl HoldTrace {
    pub(super) fn begin(subject: &Subject, context: &TraceContext) -> Self {
        let span = catch_panics(|| {
            context.emit(|| {
                info_span!(
                    target: "pglock",
                    parent: context.span.id(),
                    "pglock.hold",
                    lock = subject.lock,
                    label = subject.label,
                    mode = subject.mode,
                    held_ms = Empty,
                    outcome = Empty,
                )
            })
        });
        Self {
            span: BodySpan(span.unwrap_or_else(Span::none)),
            context: context.clone(),
        }
    }

    pub(super) fn span(&self) -> BodySpan {
        self.span.clone()
    }

    pub(super) fn body_ended(&self, subject: &Subject, end: BodyEnd) {
        self.context.emit(|| match end {
            BodyEnd::Dropped => info!(
                name: "pglock.drop",
                target: "pglock::drop",
                parent: self.span.0.id(),
                lock = subject.lock,
                mode = subject.mode,
                "the caller dropped the body under a lock",
            ),
            BodyEnd::Panicked => info!(
                name: "pglock.panic",
                target: "pglock::panic",
                parent: self.span.0.id(),
                lock = subject.lock,
                mode = subject.mode,
                "the body under a lock panicked",
            ),
        });
    }

    /// `kept`: its call had ended.
    pub(super) fn lost(&self, subject: &Subject, why: &dyn fmt::Display, kept: bool) {
        self.context.emit(|| {
            if kept {
                warn!(
                    name: "pglock.lost",
                    target: "pglock::lost",
                    parent: self.span.0.id(),
                    lock = subject.lock,
                    mode = subject.mode,
                    why = %why,
                    "a lock was lost that was only kept (`hold_at_least`): its job had ended, but may run again early",
                );
            } else {
                error!(
                    name: "pglock.lost",
                    target: "pglock::lost",
                    parent: self.span.0.id(),
                    lock = subject.lock,
                    mode = subject.mode,
                    why = %why,
                    "a lock was lost while it was held",
                );
            }
        });
    }

    pub(super) fn ended(&self, outcome: &str, held: Duration) {
        self.span.0.record("held_ms", millis(held));
        self.span.0.record("outcome", outcome);
    }
}

/// A span that a body runs in.
#[derive(Clone, Debug)]
pub(super) struct BodySpan(Span);

impl BodySpan {
    /// A span that is not recorded.
    pub(super) fn none() -> Self {
        Self(Span::none())
    }

    pub(super) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        self.0.in_scope(body)
    }
}

/// A try of several in which a lock timed out, before the pause and the next one.
pub(super) fn lock_timed_out(failed: &FailedTry<'_>) {
    let FailedTry { holder, .. } = failed;
    info!(
        name: "pglock.retry",
        target: "pglock::retry",
        label = failed.label.0,
        r#try = failed.try_number,
        tries = failed.tries,
        lock_timeout_ms = failed.limit.map(millis),
        pause_ms = millis(failed.pause),
        holder.pid = holder.map(|holder| holder.pid),
        holder.application_name = holder.map(|holder| holder.application_name.as_str()),
        holder.user = holder.and_then(|holder| holder.user.as_deref()),
        holder.queued = holder.map(|holder| holder.queued),
        "a lock timed out, and is tried again after a pause",
    );
}

/// A term of a leader.
pub(super) fn lead(subject: &Subject, term: u64) -> BodySpan {
    BodySpan(info_span!(target: "pglock", "pglock.lead", lock = subject.lock, term))
}

fn millis(duration: Duration) -> f64 {
    // To the microsecond, since more digits are noise.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
