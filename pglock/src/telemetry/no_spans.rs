//! Stands in for `spans.rs` without the feature `tracing`.

use std::fmt;
use std::time::Duration;

use super::subject::{SignalReport, Subject};
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

    pub(super) fn span(&self) -> HoldSpan {
        HoldSpan
    }

    pub(super) fn lost(&self, _: &Subject, _: &dyn fmt::Display) {}

    pub(super) fn ended(&self, _: &str, _: Duration) {}
}

#[derive(Clone, Debug)]
pub(crate) struct HoldSpan;

#[expect(clippy::unused_self, reason = "it stands in for one that reports")]
impl HoldSpan {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        body()
    }
}
