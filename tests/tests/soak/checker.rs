//! What must be so of every history, and what is found where it isn't. Pure.
//!
//! # What may be claimed
//!
//! A *section* is the time in which a body ran: `began` is read as the first thing in it, `ended` as the last. So it lies
//! between the grant and the release, and all clocks are one. A call *owns* a lock unless it is inside another one
//! with the same key: then it re-enters that one's, whose call answers for both.
//!
//! 1. **A call that said that it kept the lock had it all the while.** It says so after the server has found the lock
//!    on the session at the release (or at the end of the call, where it is kept for longer), or has committed the
//!    transaction that held it; and a session that lost it once doesn't have it again. So two such sections never
//!    overlap, by no nanosecond: the later one was granted after the earlier one's release.
//! 2. **Who overlaps somebody has lost the lock before.** A blocking body can't be interrupted, nor one that is between two
//!    awaits, nor a stopped process. So where two sections overlap, one of the two must have been free for the other to
//!    begin: it didn't say "kept", and a fault that can have hit it had been on its way before the other one began.
//!    That need not be the one that began earlier: between the grant and the body's begin a session can be lost, too.
//! 3. **What is lost is said.** A section that had begun before a fault was on its way, and ended after all that it
//!    hit was gone, does not belong to a call that said "kept", if the fault is known to have hit it: a restart hits
//!    all; a terminated session is the one that `pg_locks` showed with that key, which only one can hold exclusively.
//! 4. **What is said to be lost was hit.** By a fault that began before the call returned and ended after it was made. So a
//!    false alarm of pglock's is found, unless another fault is near.
//! 5. **A body runs once when the call says so, and not at all when it says that it didn't**, and a loss tells truly
//!    whether it had finished.
//! 6. **A lock is kept for as long as was asked**, counted from the call, which is before the grant; unless a fault hit it.
//! 7. **Every call returns**, unless its process was killed, with an error that one expects: busy, lost, no server.
//! 8. **A wait is said to be canceled, or refused for a full lock table**, only while that was done to the server.
//! 9. **A deadlock is one**: nobody is told of it in a round in which all take their locks in one order. In others a call
//!    is that is inside another one; or one that waits on a session alone: where a queue leads through its place, Postgres
//!    may end its wait for the deadlock of others; or one that waits for several, and has some of them.
//! 10. **Who has several locks has each of them**: its section is one of each key, and all of the above is so of each. They
//!     are lost together: the loss of one is a reason for the call, and for those inside it that re-enter another one.
//! 11. **No more have a permit than there are.** Two sections of one limit may overlap, so rule 2 says it of sets: of one
//!     more than there are permits, two were never had at the same time, since one of these was free for the other to begin.
//!     (The times for which permits are had are intervals: where each two of them meet, all do.)
//! 12. **A leader's terms follow each other**, each being a call, made when the one before had ended. One that is dropped
//!     while its leader goes on is said to be lost, so that by rule 4 nobody stops leading for nothing.
//! 13. **A leader goes on leading** until its body has ended, it is dropped, or something breaks that doesn't pass. No
//!     server, a loss and a wait that is canceled pass.
//! 14. **A leader stops when it has lost the lock**: a term that was certainly hit ends soon after all that was hit is gone.
//!     That is asked of leaders alone, since a body that blocks can go on.
//!
//! # What can have been hit
//!
//! A restart hits all; a kill, all of a process. Which session a section has pglock doesn't tell, so a terminated session
//! can be that of any section of its process, but one: a section that had begun before the fault and went on after it
//! was certainly in `pg_locks` when it was asked in between; so it was hit if the session held its key, and only then.
//!
//! What is canceled costs nobody the lock that a session of pglock's own holds, unless it holds it in a transaction. On the
//! worker's own connections it ends transactions, and leaves releases unanswered. A full lock table takes nothing away.
//!
//! A killed process ends its sections somewhere within the kill. They count as going on to its end, and as free from its
//! beginning on: so nothing true is a violation, and what is missed is what happens in that moment.

mod leaders;

use std::fmt;

use crate::history::{Call, Ended, Fault, History, What};
use crate::log::{Frailty, Mode, Outcome, Time};

/// What must not be.
#[derive(Debug)]
pub(crate) struct Violation<'h> {
    pub(crate) rule: Rule,
    pub(crate) calls: Vec<&'h Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Overlap,
    SilentLoss,
    LossWithoutCause,
    RanAndDenied,
    SaidToHaveRun,
    RanTwice,
    BodyFinishedIsWrong,
    FreedTooEarly,
    NeverReturned,
    UnexpectedError,
    CanceledByNobody,
    TableWasNotFull,
    FalseDeadlock,
    TooMany,
    TermsOverlap,
    GaveUpLeading,
    LedTooLong,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlap => "two had the lock at the same time, and no fault had freed it",
            Self::SilentLoss => "a lock was lost, and its call said that it was kept",
            Self::LossWithoutCause => "a lock was said to be lost, and no fault had hit it",
            Self::RanAndDenied => "a call said that it did not run, and it ran",
            Self::SaidToHaveRun => "a call said that it ran, and it did not, or not to its end",
            Self::RanTwice => "a body ran twice",
            Self::BodyFinishedIsWrong => "a loss doesn't say truly whether the body had finished",
            Self::FreedTooEarly => "a lock that was to be kept for longer was had by another call",
            Self::NeverReturned => "a call never returned",
            Self::UnexpectedError => "an error that there is no reason for",
            Self::CanceledByNobody => "a wait was said to be canceled, and nobody had",
            Self::TableWasNotFull => "the lock table was said to be full, and it was not",
            Self::FalseDeadlock => "a deadlock was told where none was possible",
            Self::TooMany => "more had a permit than there are, and no fault had freed one",
            Self::TermsOverlap => "a term began before the leader's last one had ended",
            Self::GaveUpLeading => "a leader ended for what passes",
            Self::LedTooLong => "a leader went on for long after its lock was lost",
        })
    }
}

/// All that must not be, and is.
pub(crate) fn violations(history: &History) -> Vec<Violation<'_>> {
    let mut found = Vec::new();
    for call in &history.calls {
        let rules = of_one_call(history, call);
        found.extend(rules.into_iter().map(|rule| Violation {
            rule,
            calls: vec![call],
        }));
    }
    let sections = sections(history);
    for section in &sections {
        if is_silent_loss(history, section) {
            found.push(Violation {
                rule: Rule::SilentLoss,
                calls: vec![section.call],
            });
        }
    }
    for (earlier, later) in pairs(&sections) {
        if let Some(rule) = of_two_sections(history, earlier, later) {
            found.push(Violation {
                rule,
                calls: vec![earlier.call, later.call],
            });
        }
    }
    found.extend(crowds(history, &sections));
    found.extend(leaders::violations(history, &sections));
    found
}

fn of_one_call(history: &History, call: &Call) -> Vec<Rule> {
    let mut broken = Vec::new();
    let began = !call.began.is_empty();
    let finished = matches!(call.ended, Some(Ended { finished: true, .. }));
    if call.began.len() > 1 {
        broken.push(Rule::RanTwice);
    }
    let Some(outcome) = call.outcome() else {
        if history.killed(call.process).is_none() {
            broken.push(Rule::NeverReturned);
        }
        return broken;
    };
    let denied = matches!(
        outcome,
        Outcome::Busy
            | Outcome::Deadlock
            | Outcome::Connect
            | Outcome::Canceled
            | Outcome::TableFull
    );
    if denied && began {
        broken.push(Rule::RanAndDenied);
    }
    match outcome {
        Outcome::Kept if !finished => broken.push(Rule::SaidToHaveRun),
        Outcome::Lost { body_finished } => {
            if body_finished != finished {
                broken.push(Rule::BodyFinishedIsWrong);
            }
            if !has_cause(history, call) {
                broken.push(Rule::LossWithoutCause);
            }
        }
        Outcome::Unexpected => broken.push(Rule::UnexpectedError),
        Outcome::Canceled if !lasted_during(history, call, &What::Canceled) => {
            broken.push(Rule::CanceledByNobody);
        }
        Outcome::TableFull if !lasted_during(history, call, &What::TableFull) => {
            broken.push(Rule::TableWasNotFull);
        }
        Outcome::Deadlock if history.in_order || !can_be_in_a_cycle(call) => {
            broken.push(Rule::FalseDeadlock);
        }
        // No cause is asked for where there was no server: a worker's own connection may have died long before the call.
        Outcome::Kept
        | Outcome::Unsaid
        | Outcome::Busy
        | Outcome::Deadlock
        | Outcome::Connect
        | Outcome::Canceled
        | Outcome::TableFull => {}
    }
    broken
}

/// Whether it has a lock while it waits, or is told of the deadlocks of others.
fn can_be_in_a_cycle(call: &Call) -> bool {
    let called = &call.called;
    called.within.is_some() || called.alone || called.keys.len() > 1
}

/// Whether a fault of that kind was made while the call was under way.
fn lasted_during(history: &History, call: &Call, what: &What) -> bool {
    let returned = call.returned.as_ref();
    let returned = returned.map_or(Time::MAX, |returned| returned.at);
    let is_so = |fault: &Fault| {
        std::mem::discriminant(&fault.what) == std::mem::discriminant(what)
            && fault.from <= returned
            && fault.until >= call.at
    };
    history.faults.iter().any(is_so)
}

/// The time in which an owner had its lock, or one of its locks.
#[derive(Debug)]
struct Section<'h> {
    call: &'h Call,
    key: usize,
    began: Time,
    /// The end of the body.
    ended: Time,
    /// Until when the lock is kept; the same, or later.
    kept: Time,
}

impl Section<'_> {
    fn said_kept(&self) -> bool {
        self.call.outcome() == Some(Outcome::Kept)
    }
}

/// Of all owners, in the order in which they began.
fn sections(history: &History) -> Vec<Section<'_>> {
    let of_call = |call| owned(history, call).filter_map(|key| section(history, call, key));
    let mut sections: Vec<_> = history.calls.iter().flat_map(of_call).collect();
    sections.sort_by_key(|section| section.began);
    sections
}

/// The keys whose locks a call has itself, and none that encloses it.
fn owned<'h>(history: &'h History, call: &'h Call) -> impl Iterator<Item = usize> {
    let keys = call.called.keys.iter().copied();
    keys.filter(|key| owner(history, call, *key).id == call.id)
}

fn section<'h>(history: &'h History, call: &'h Call, key: usize) -> Option<Section<'h>> {
    let began = *call.began.first()?;
    let killed = || history.killed(call.process).map(|fault| fault.until);
    let ended = call
        .ended
        .map(|ended| ended.at)
        .or_else(killed)
        .unwrap_or(Time::MAX);
    Some(Section {
        call,
        key,
        began,
        ended,
        kept: ended.max(call.at + call.called.kept_for),
    })
}

/// The call whose lock it has: the outermost that encloses it with the same key, or itself.
fn owner<'h>(history: &'h History, call: &'h Call, key: usize) -> &'h Call {
    let mut owner = call;
    let mut next = call.called.within;
    while let Some(id) = next {
        let outer = history.call(call.process, id);
        if outer.called.keys.contains(&key) {
            owner = outer;
        }
        next = outer.called.within;
    }
    owner
}

/// Those that are about one key, exclude each other, and overlap; the earlier one first.
fn pairs<'s, 'h>(
    sections: &'s [Section<'h>],
) -> impl Iterator<Item = (&'s Section<'h>, &'s Section<'h>)> {
    let mut open: Vec<&Section<'_>> = Vec::new();
    sections.iter().flat_map(move |later| {
        open.retain(|earlier| later.began < earlier.kept);
        let excluded: Vec<_> = open
            .iter()
            .copied()
            .filter(|earlier| exclude(earlier, later))
            .collect();
        open.push(later);
        excluded.into_iter().map(move |earlier| (earlier, later))
    })
}

fn exclude(one: &Section<'_>, other: &Section<'_>) -> bool {
    one.key == other.key
        && (one.call.called.mode == Mode::Exclusive || other.call.called.mode == Mode::Exclusive)
}

/// More of one limit than it has permits, that all had one at the same time.
fn crowds<'h>(history: &'h History, sections: &[Section<'h>]) -> Vec<Violation<'h>> {
    let mut open: Vec<&Section<'_>> = Vec::new();
    let mut found = Vec::new();
    for last in sections {
        let Mode::Permit(permits) = last.call.called.mode else {
            continue;
        };
        open.retain(|earlier| last.began < earlier.kept);
        let of_limit: Vec<_> = open
            .iter()
            .copied()
            .filter(|earlier| earlier.key == last.key)
            .chain([last])
            .collect();
        if let Some(calls) = all_at_once(history, &of_limit, permits as usize + 1) {
            found.push(Violation {
                rule: Rule::TooMany,
                calls,
            });
        }
        open.push(last);
    }
    found
}

/// So many of these, each two of which had their locks at the same time, if there are so many. They are in the order in
/// which they began.
fn all_at_once<'h>(
    history: &'h History,
    among: &[&Section<'h>],
    many: usize,
) -> Option<Vec<&'h Call>> {
    if many == 0 {
        return Some(Vec::new());
    }
    among.iter().enumerate().find_map(|(nth, first)| {
        let later = among[nth + 1..].iter().copied();
        let with_it: Vec<_> = later
            .filter(|later| of_two_sections(history, first, later).is_some())
            .collect();
        let mut calls = all_at_once(history, &with_it, many - 1)?;
        calls.insert(0, first.call);
        Some(calls)
    })
}

fn of_two_sections(history: &History, earlier: &Section<'_>, later: &Section<'_>) -> Option<Rule> {
    let in_the_body = later.began < earlier.ended;
    // Before the other one began, in each case.
    let is_free = |lost: &Section<'_>, by: Time| {
        history
            .faults
            .iter()
            .any(|fault| fault.from <= by && can_hit(fault, lost))
    };
    let earlier_was_lost = (!in_the_body || !earlier.said_kept()) && is_free(earlier, later.began);
    let later_was_lost = !later.said_kept() && is_free(later, earlier.began);
    match (earlier_was_lost || later_was_lost, in_the_body) {
        (true, _) => None,
        (false, true) => Some(Rule::Overlap),
        (false, false) => Some(Rule::FreedTooEarly),
    }
}

fn is_silent_loss(history: &History, section: &Section<'_>) -> bool {
    let went_on = |fault: &Fault| section.ended >= fault.gone;
    section.said_kept()
        && history
            .faults
            .iter()
            .any(|fault| has_hit(fault, section) && went_on(fault))
}

/// Whether this has certainly freed the lock of a section, if that went on after it.
fn has_hit(fault: &Fault, section: &Section<'_>) -> bool {
    section.began <= fault.from
        && match &fault.what {
            // It need not have hit this one.
            What::Killed(_) | What::Canceled | What::TableFull => false,
            What::Restarted => true,
            What::Terminated { process, held } => {
                section.call.called.mode == Mode::Exclusive
                    && *process == section.call.process
                    && held.contains(&(section.key, Mode::Exclusive))
            }
        }
}

/// Whether a loss is known to have a reason.
fn has_cause(history: &History, call: &Call) -> bool {
    let returned = call.returned.as_ref();
    can_be_lost(
        history,
        call,
        returned.map_or(Time::MAX, |returned| returned.at),
    )
}

/// Whether a fault that was on its way by then can have freed one of a call's locks. A call that re-enters has those of
/// the enclosing one: several are lost together.
fn can_be_lost(history: &History, call: &Call, by: Time) -> bool {
    call.called.keys.iter().any(|key| {
        let owner = owner(history, call, *key);
        if owner.id != call.id {
            return can_be_lost(history, owner, by);
        }
        let section = section(history, call, *key);
        let mut before = history.faults.iter().filter(|fault| fault.from <= by);
        before.any(|fault| match &section {
            Some(section) => can_hit(fault, section),
            None => can_hit_process(fault, call),
        })
    })
}

/// Whether this can have freed the lock of a section, then or later.
fn can_hit(fault: &Fault, section: &Section<'_>) -> bool {
    let was_in_pg_locks = section.began <= fault.from && section.kept >= fault.gone;
    can_hit_process(fault, section.call)
        && match &fault.what {
            What::Terminated { held, .. } if was_in_pg_locks => {
                held.iter().any(|(key, _)| *key == section.key)
            }
            What::Terminated { .. }
            | What::Killed(_)
            | What::Restarted
            | What::Canceled
            | What::TableFull => true,
        }
}

fn can_hit_process(fault: &Fault, call: &Call) -> bool {
    let is_its = match &fault.what {
        What::Killed(process) | What::Terminated { process, .. } => *process == call.process,
        What::Restarted => true,
        What::Canceled => call.called.frailty == Frailty::EndsByCancel,
        What::TableFull => false,
    };
    is_its && fault.until >= call.at
}

#[cfg(test)]
mod tests;
