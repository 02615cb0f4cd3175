//! What must be so of the terms of a leader.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Rule, Section, Violation, has_hit};
use crate::history::{Call, History};
use crate::log::Outcome;

/// For how long a leader may go on that has lost the lock. It hears at once of a session that has ended, and then of nothing
/// but a machine that is slow, or a process that is stopped for a moment.
const STOPS_WITHIN: Duration = Duration::from_secs(3);

pub(super) fn violations<'h>(history: &'h History, sections: &[Section<'h>]) -> Vec<Violation<'h>> {
    let mut leaders: BTreeMap<_, Vec<&Call>> = BTreeMap::new();
    for call in &history.calls {
        if let Some(leader) = call.called.leader {
            leaders
                .entry((call.process, leader))
                .or_default()
                .push(call);
        }
    }
    let mut found = Vec::new();
    for terms in leaders.values() {
        for terms in terms.windows(2) {
            if overlap(terms[0], terms[1]) {
                found.push(Violation {
                    rule: Rule::TermsOverlap,
                    calls: terms.to_vec(),
                });
            }
        }
        found.extend(
            terms
                .last()
                .filter(|last| gave_up(last))
                .map(|last| Violation {
                    rule: Rule::GaveUpLeading,
                    calls: vec![*last],
                }),
        );
    }
    let too_long = sections.iter().filter(|term| {
        let mut faults = history.faults.iter();
        term.call.called.leader.is_some()
            && faults.any(|fault| has_hit(fault, term) && term.ended > fault.gone + STOPS_WITHIN)
    });
    found.extend(too_long.map(|term| Violation {
        rule: Rule::LedTooLong,
        calls: vec![term.call],
    }));
    found
}

fn overlap(earlier: &Call, later: &Call) -> bool {
    let began = |call: &Call| call.began.first().copied();
    let is_over = |by| earlier.ended.is_some_and(|ended| ended.at <= by);
    began(earlier).is_some() && began(later).is_some_and(|began| !is_over(began))
}

/// Whether the leader was told of what passes, in the place of its end.
fn gave_up(last: &Call) -> bool {
    matches!(
        last.outcome(),
        Some(
            Outcome::Connect
                | Outcome::Canceled
                | Outcome::Lost {
                    body_finished: false
                }
        )
    )
}
