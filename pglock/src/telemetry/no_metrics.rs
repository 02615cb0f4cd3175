//! Stands in for `metrics.rs` without the feature `metrics`.

use std::time::Duration;

use super::subject::{SignalReport, Subject};

pub(super) fn attempted(_: &Subject) {}

pub(super) fn attempt_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn hold_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn signaled(_: SignalReport<'_>) {}
