//! Numbers of the feature `metrics`. Their names are in the documentation of the crate: keep them.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::subject::{SignalReport, Subject};

const ATTEMPTS: &str = "pglock_attempts_total";
const OUTCOMES: &str = "pglock_outcomes_total";
const WAIT: &str = "pglock_wait_seconds";
const HOLD: &str = "pglock_hold_seconds";
const SIGNALS: &str = "pglock_kills_total";

/// Tells the recorder of the crate [`metrics`] what each of pglock's metrics is, with its unit.
///
/// Call it once, after the recorder was installed: exporters show it as help. Without it they show the numbers all the
/// same.
///
/// ```
/// // With an exporter, after its `install()`.
/// pglock::describe_metrics();
/// ```
pub fn describe_metrics() {
    describe_counter!(ATTEMPTS, Unit::Count, "Locks that were asked for.");
    describe_counter!(OUTCOMES, Unit::Count, "What has come of asking for locks.");
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "How long it took to get a lock, or to be refused."
    );
    describe_histogram!(HOLD, Unit::Seconds, "How long locks were held.");
    describe_counter!(
        SIGNALS,
        Unit::Count,
        "Sessions that were canceled or terminated for being in the way."
    );
}

pub(super) fn attempted(subject: &Subject) {
    counter!(ATTEMPTS, "lock" => subject.label, "mode" => subject.mode).increment(1);
}

pub(super) fn attempt_ended(subject: &Subject, outcome: &'static str, waited: Duration) {
    let (lock, mode) = (subject.label, subject.mode);
    counter!(OUTCOMES, "lock" => lock, "mode" => mode, "outcome" => outcome).increment(1);
    histogram!(WAIT, "lock" => lock, "mode" => mode, "outcome" => outcome).record(waited);
}

pub(super) fn hold_ended(subject: &Subject, outcome: &'static str, held: Duration) {
    let (lock, mode) = (subject.label, subject.mode);
    histogram!(HOLD, "lock" => lock, "mode" => mode, "outcome" => outcome).record(held);
}

pub(super) fn signaled(report: SignalReport<'_>) {
    counter!(SIGNALS, "action" => report.action).increment(1);
}
