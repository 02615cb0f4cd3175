//! Acting on what is shown: the question, and whom it would let go on. Pure.

use std::collections::HashSet;

use super::model::Question;
use super::rows::SessionId;
use crate::commands::act::victims::{Verb, Victim};
use crate::show::attribute::does;
use crate::text;

/// Whether to hit these; the others are told of as spared. `freed` is how many could go on, where that is known.
pub(super) fn question(
    verb: Verb,
    victims: &[Victim],
    spared: &[(Victim, String)],
    freed: Option<usize>,
) -> Question {
    let mut about: Vec<String> = victims.iter().map(described).collect();
    let spared = spared.iter();
    about.extend(spared.map(|(victim, why)| format!("{}: not hit, {why}", victim.who())));
    let outlook = match freed {
        None => "",
        Some(0) => "Nobody who waits could go on. ",
        Some(1) => "It would let 1 other go on. ",
        Some(more) => &format!("It would let {more} others go on. "),
    };
    Question {
        about,
        asks: format!("{outlook}{} [y/N]", verb.question(victims.len())),
        is_open: false,
    }
}

fn described(victim: &Victim) -> String {
    let activity = &victim.activity;
    let mut described = victim.who();
    if let Some(does) = does(activity) {
        described = format!("{described}, {does}");
    }
    let query = activity.query.as_deref().map(text::statement);
    match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{described}: {query}"),
        None => described,
    }
}

/// How many others would wait for nobody any more if these were gone. `waits` are who waits for whom.
pub(super) fn freed(waits: &[(SessionId, SessionId)], gone: &[SessionId]) -> usize {
    let mut out: HashSet<SessionId> = gone.iter().copied().collect();
    loop {
        let kept = waits.iter().filter(|(_, blocker)| !out.contains(blocker));
        let kept: HashSet<SessionId> = kept.map(|(waiter, _)| *waiter).collect();
        let waiters = waits.iter().map(|(waiter, _)| *waiter);
        let before = out.len();
        out.extend(waiters.filter(|waiter| !kept.contains(waiter)));
        if out.len() == before {
            break;
        }
    }
    let waiters: HashSet<SessionId> = waits.iter().map(|(waiter, _)| *waiter).collect();
    let gone: HashSet<SessionId> = gone.iter().copied().collect();
    let others = out
        .intersection(&waiters)
        .filter(|waiter| !gone.contains(waiter));
    others.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(pid: i32) -> SessionId {
        SessionId { pid, start: None }
    }

    fn freed_by(waits: &[(i32, i32)], gone: &[i32]) -> usize {
        let waits: Vec<_> = waits
            .iter()
            .map(|(waiter, blocker)| (session(*waiter), session(*blocker)))
            .collect();
        let gone: Vec<_> = gone.iter().copied().map(session).collect();
        freed(&waits, &gone)
    }

    #[test]
    fn a_chain_goes_on_when_its_root_is_gone() {
        let chain = [(2, 1), (3, 2), (4, 3)];
        assert_eq!(freed_by(&chain, &[1]), 3);
        assert_eq!(freed_by(&chain, &[2]), 2);
        assert_eq!(freed_by(&chain, &[4]), 0);
    }

    #[test]
    fn who_waits_for_two_needs_both_gone() {
        let both = [(3, 1), (3, 2), (4, 3)];
        assert_eq!(freed_by(&both, &[1]), 0);
        assert_eq!(freed_by(&both, &[1, 2]), 2);
    }

    #[test]
    fn one_of_a_deadlock_frees_the_others() {
        let ring = [(1, 2), (2, 3), (3, 1)];
        assert_eq!(freed_by(&ring, &[2]), 2);
        assert_eq!(freed_by(&ring, &[9]), 0);
    }
}
