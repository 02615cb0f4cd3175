//! Stands in for `metrics.rs` without the feature `metrics`.

use std::time::Duration;

use super::subject::{SessionRole, SignalReport, Subject};
use crate::database::Database;

pub(super) fn attempted(_: &Subject) {}

pub(super) fn attempt_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn hold_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn change_leading(_: &'static str, _: i32) {}

pub(super) fn signaled(_: SignalReport<'_>) {}

pub(super) fn tried(_: &'static str, _: &'static str) {}

#[derive(Debug)]
pub(crate) struct SessionGauge;

impl SessionGauge {
    pub(crate) fn of(_: &Database) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the feature counts it")]
    pub(crate) fn is_for(&self, _: SessionRole) {}

    #[expect(clippy::unused_self, reason = "the feature counts it")]
    pub(crate) fn has_ended(&self) {}
}
