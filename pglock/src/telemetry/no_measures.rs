//! In place of `measures`, without the feature `metrics`.

use std::time::Duration;

use super::{Kill, Subject};

pub(super) fn attempted(_: &Subject) {}

pub(super) fn attempt_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn hold_ended(_: &Subject, _: &'static str, _: Duration) {}

pub(super) fn killed(_: Kill<'_>) {}
