//! The metrics of the feature `metrics`. Their names are part of the public documentation.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::catch_panics::catch_panics;
use super::subject::{SessionRole, SignalReport, Subject};
use crate::background::{GrowingList, OwnerProcess};
use crate::database::Database;

const ATTEMPTS: &str = "pglock_attempts_total";
const OUTCOMES: &str = "pglock_outcomes_total";
const WAIT: &str = "pglock_wait_seconds";
const HOLD: &str = "pglock_hold_seconds";
const SIGNALS: &str = "pglock_signals_total";
const TRIES: &str = "pglock_tries_total";
const SESSIONS: &str = "pglock_sessions";
const LEADING: &str = "pglock_leading";

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
    describe_counter!(
        TRIES,
        Unit::Count,
        "Tries of what waits for locks, as they end, by outcome."
    );
    describe_gauge!(SESSIONS, Unit::Count, "Open sessions of pglock's own.");
    describe_gauge!(
        LEADING,
        Unit::Count,
        "Leaders of this process whose body runs."
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

/// `by` more leaders of that label run their body.
pub(super) fn change_leading(label: &'static str, by: i32) {
    let leading = Count::change(&LEADERS, &label, by);
    gauge!(LEADING, "lock" => label).set(leading);
}

pub(super) fn signaled(report: SignalReport<'_>) {
    counter!(SIGNALS, "action" => report.action).increment(1);
}

pub(super) fn tried(label: &'static str, outcome: &'static str) {
    counter!(TRIES, "retry" => label, "outcome" => outcome).increment(1);
}

/// Counts a session of pglock's own from its first role until it has ended.
#[derive(Debug)]
pub(crate) struct SessionGauge {
    database: Arc<str>,
    role: Cell<Option<SessionRole>>,
    has_ended: Cell<bool>,
}

impl SessionGauge {
    pub(crate) fn of(database: &Database) -> Self {
        Self {
            database: database.name().unwrap_or_default().into(),
            role: Cell::default(),
            has_ended: Cell::default(),
        }
    }

    pub(crate) fn is_for(&self, role: SessionRole) {
        if !self.has_ended.get() {
            self.change(Some(role));
        }
    }

    pub(crate) fn has_ended(&self) {
        self.has_ended.set(true);
        self.change(None);
    }

    fn change(&self, role: Option<SessionRole>) {
        let before = self.role.replace(role);
        if before != role {
            catch_panics(|| {
                let changes = [before.zip(Some(-1)), role.zip(Some(1))];
                for (role, by) in changes.into_iter().flatten() {
                    let of = (Arc::clone(&self.database), role);
                    let open = Count::change(&OPEN_SESSIONS, &of, by);
                    let (database, role) = of;
                    gauge!(SESSIONS, "database" => database, "role" => name(role)).set(open);
                }
            });
        }
    }
}

fn name(role: SessionRole) -> &'static str {
    match role {
        SessionRole::Shared => "shared",
        SessionRole::Wait => "wait",
        SessionRole::Helper => "helper",
        SessionRole::Own => "own",
        SessionRole::Idle => "idle",
    }
}

/// By the label of their lock.
static LEADERS: GrowingList<Count<&'static str>> = GrowingList::new();

/// Of databases of one name together.
static OPEN_SESSIONS: GrowingList<Count<(Arc<str>, SessionRole)>> = GrowingList::new();

/// How many there are in this process, for a gauge. A recorder may be installed late, so it gets all of them, and not what
/// has changed.
struct Count<K> {
    /// Those before a fork are the parent's.
    process: OwnerProcess,
    of: K,
    number: AtomicU32,
}

impl<K: Clone + PartialEq> Count<K> {
    /// How many there are of a kind after a change.
    fn change(counts: &GrowingList<Self>, of: &K, by: i32) -> u32 {
        let Self { number, .. } = counts.find_or_add(
            |it| it.of == *of && it.process.is_current(),
            || Self {
                process: OwnerProcess::current(),
                of: of.clone(),
                number: AtomicU32::new(0),
            },
        );
        let change = |number: u32| number.saturating_add_signed(by);
        let before =
            number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| Some(change(it)));
        before.map_or(0, change)
    }
}
