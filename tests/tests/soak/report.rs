//! What is told of rounds: how much happened, and what must not have.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::checker::Violation;
use crate::history::{Call, Fault, History, Returned, What};
use crate::log::{Mode, Outcome, Time};

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Counts([usize; NAMES.len()]);

/// All of them have to be seen, or the soak shows less than it says.
const NAMES: [&str; 22] = [
    "calls",
    "kept",
    "kept inside others",
    "kept after the call",
    "several at once",
    "permits",
    "terms of leaders",
    "terms that were lost",
    "lost, and dropped in the body",
    "lost after the body",
    "dropped, failed or panicked in the body",
    "dropped before it",
    "busy",
    "deadlocks",
    "without a server",
    "canceled",
    "without room in the lock table",
    "processes killed",
    "sessions terminated",
    "restarts",
    "storms of cancels",
    "full lock tables",
];

impl Counts {
    pub(crate) fn of(history: &History) -> Self {
        let calls =
            |is: &dyn Fn(&Call) -> bool| history.calls.iter().filter(|call| is(call)).count();
        let told = |outcome: Outcome| calls(&|call| call.outcome() == Some(outcome));
        let unsaid = |began: bool| {
            calls(&|call| call.outcome() == Some(Outcome::Unsaid) && call.began.is_empty() != began)
        };
        let faults = |is: &dyn Fn(&What) -> bool| {
            history
                .faults
                .iter()
                .filter(|fault| is(&fault.what))
                .count()
        };
        let kept = |call: &Call| call.outcome() == Some(Outcome::Kept);
        let lost = |body_finished| Outcome::Lost { body_finished };
        Self([
            history.calls.len(),
            told(Outcome::Kept),
            calls(&|call| kept(call) && call.called.within.is_some()),
            calls(&|call| kept(call) && !call.called.kept_for.is_zero()),
            calls(&|call| kept(call) && call.called.keys.len() > 1),
            calls(&|call| kept(call) && matches!(call.called.mode, Mode::Permit(_))),
            calls(&|call| call.called.leader.is_some() && !call.began.is_empty()),
            calls(&|call| call.called.leader.is_some() && call.outcome() == Some(lost(false))),
            calls(&|call| call.ended.is_some() && call.outcome() == Some(lost(false))),
            told(lost(true)),
            unsaid(true),
            unsaid(false),
            told(Outcome::Busy),
            told(Outcome::Deadlock),
            told(Outcome::Connect),
            told(Outcome::Canceled),
            told(Outcome::TableFull),
            faults(&|what| matches!(what, What::Killed(_))),
            faults(&|what| matches!(what, What::Terminated { .. })),
            faults(&|what| matches!(what, What::Restarted)),
            faults(&|what| matches!(what, What::Canceled)),
            faults(&|what| matches!(what, What::TableFull)),
        ])
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// Some need the same moment: a slow machine can have a minute without one.
    pub(crate) fn assert_all_seen(&self, length: Duration) {
        let is_short = length < Duration::from_secs(180);
        for (name, count) in NAMES.iter().zip(self.0) {
            if is_short && ["deadlocks", "without room in the lock table"].contains(name) {
                continue;
            }
            assert!(count > 0, "none was seen of: {name} ({self})");
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = NAMES
            .iter()
            .zip(self.0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        f.write_str(&counts.join(", "))
    }
}

/// What must not be, with what happened to its calls, in seconds of the host's clock.
pub(crate) fn describe(history: &History, violation: &Violation<'_>) -> String {
    let mut lines = vec![format!("- {}", violation.rule)];
    lines.extend(violation.calls.iter().map(|call| told_of_call(call)));
    let begin = violation.calls.iter().map(|call| call.at).min();
    let end = violation.calls.iter().map(|call| end_of(call)).max();
    let meanwhile = history
        .faults
        .iter()
        .filter(|fault| Some(fault.from) <= end && Some(fault.until) >= begin);
    lines.extend(meanwhile.map(describe_fault));
    lines.join("\n    ")
}

fn end_of(call: &Call) -> Time {
    call.returned
        .as_ref()
        .map_or(Time::MAX, |returned| returned.at)
}

pub(crate) fn told_of_call(call: &Call) -> String {
    let mut text = format!(
        "process {}, call {}: {:?}; made at {:?}",
        call.process, call.id, call.called, call.at
    );
    for began in &call.began {
        let _ = write!(text, ", began {began:?}");
    }
    if let Some(ended) = call.ended {
        let how = if ended.finished { "ended" } else { "dropped" };
        let _ = write!(text, ", {how} {:?}", ended.at);
    }
    if let Some(Returned { at, outcome, why }) = &call.returned {
        let _ = write!(text, ", returned {at:?}: {outcome:?} {why}");
    }
    text
}

fn describe_fault(fault: &Fault) -> String {
    format!(
        "meanwhile {:?}, from {:?}, gone {:?}, until {:?}",
        fault.what, fault.from, fault.gone, fault.until
    )
}
