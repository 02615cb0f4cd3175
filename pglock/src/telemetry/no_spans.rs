//! Stands in for `spans.rs` without the feature `tracing`.

use std::fmt;
use std::time::Duration;

use super::subject::{BodyEnd, FailedTry, SignalReport, Subject};
use crate::error::Holder;

pub(super) fn reports_skips() -> bool {
    false
}

#[derive(Clone, Debug)]
pub(crate) struct TraceContext;

impl TraceContext {
    pub(crate) fn here() -> Self {
        Self
    }

    pub(crate) fn nowhere() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "it stands in for one that reports")]
    pub(super) fn waits(&self, _: &Subject, _: Duration, _: Option<&Holder>) {}

    #[expect(clippy::unused_self, reason = "it stands in for one that reports")]
    pub(super) fn spared(&self, _: SignalReport<'_>, _: &dyn fmt::Display) {}

    #[expect(clippy::unused_self, reason = "it stands in for one that reports")]
    pub(super) fn signaled(&self, _: SignalReport<'_>) {}
}

#[derive(Debug)]
pub(super) struct AttemptTrace;

#[expect(clippy::unused_self, reason = "it stands in for one that reports")]
impl AttemptTrace {
    pub(super) fn begin(_: &Subject) -> Self {
        Self
    }

    pub(super) fn skipped(&self, _: &Subject, _: Option<&Holder>) {}

    pub(super) fn reports_waits(&self) -> Option<TraceContext> {
        None
    }

    pub(super) fn canceled(&self, _: &Subject) {}

    pub(super) fn ended(&self, _: &str, _: Duration) {}
}

#[derive(Debug)]
pub(super) struct HoldTrace;

#[expect(clippy::unused_self, reason = "it stands in for one that reports")]
impl HoldTrace {
    pub(super) fn begin(_: &Subject, _: &TraceContext) -> Self {
        Self
    }

    pub(super) fn span(&self) -> BodySpan {
        BodySpan
    }

    pub(super) fn body_ended(&self, _: &Subject, _: BodyEnd) {}

    pub(super) fn lost(&self, _: &Subject, _: &dyn fmt::Display, _: bool) {}

    pub(super) fn ended(&self, _: &str, _: Duration) {}
}

pub(super) fn lead(_: &Subject, _: u64) -> BodySpan {
    BodySpan
}

#[derive(Clone, Debug)]
pub(super) struct BodySpan;

#[expect(clippy::unused_self, reason = "it stands in for one that reports")]
impl BodySpan {
    pub(super) fn none() -> Self {
        Self
    }

    pub(super) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        body()
    }
}

pub(super) fn lock_timed_out(_: &FailedTry<'_>) {}
