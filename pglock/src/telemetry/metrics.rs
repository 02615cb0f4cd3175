//! The metrics of the feature `metrics`. Their names are part of the public documentation.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::subject::{SignalReport, Subject};

const ATTEMPTS: &str = "pglock_attempts_total";
const OUTCOMES: &str = "pglock_outcomes_total";
const WAIT: &str = "pglock_wait_seconds";
const HOLD: &str = "pglock_hold_seconds";
const SIGNALS: &str = "pglock_signals_total";

/// Gives the recorder of the crate [`metrics`] a description and a unit for each of pglock's metrics.
///
/// Call it once, after the recorder was installed. Exporters show the descriptions as help; the numbers are recorded
/// without them too.
///
/// ```
/// // With an exporter, after its `install()`.
/// pglock::describe_metrics();
/// ```
pub fn describe_metrics() {
    describe_counter!(ATTEMPTS, Unit::Count, "Locks that were requested.");
    describe_counter!(
        OUTCOMES,
        Unit::Count,
        "Requests for locks that have ended, by outcome."
    );
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "Time from the request for a lock to its outcome."
    );
    describe_histogram!(HOLD, Unit::Seconds, "Time for which locks were held.");
    describe_counter!(
        SIGNALS,
        Unit::Count,
        "Sessions that were canceled or terminated because they blocked others."
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
