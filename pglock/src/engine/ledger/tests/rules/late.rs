//! Answers to statements that were sent before something else has happened, and answers that never come.

use super::super::super::*;
use super::super::process::{Ask, Move};
use super::super::scene::{OTHER, ask, scene, tries};
use crate::model::options::AdvisoryMode::{Exclusive, Shared};

#[test]
fn a_refusal_is_not_told_to_who_asked_after_it_was_sent() {
    let mut scene = scene();
    scene.asked(ask(9, Exclusive));
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.ask(tries(1, Exclusive));
    scene.make(Move::Send(0));
    scene.make(Move::Run(0));
    scene.server.unlock(OTHER, 1, Exclusive);
    let late = scene.asked(tries(1, Exclusive));
    assert!(scene.holds(late));
}

#[test]
fn an_error_is_not_told_to_who_asked_after_it_was_sent() {
    let mut scene = scene();
    scene.asked(ask(9, Exclusive));
    let first = scene.ask(ask(1, Exclusive));
    scene.make(Move::Send(0));
    scene.make(Move::Withdraw(scene.place(first)));
    let late = scene.ask(ask(1, Exclusive));
    scene.make(Move::Break(0, true));
    scene.settle();
    assert!(scene.holds(late));
}

#[test]
fn a_confirmation_says_nothing_of_a_release_that_came_after_it() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Shared));
    let other = scene.asked(ask(1, Shared));
    scene.make(Move::Confirm(scene.place(other)));
    scene.make(Move::Send(0));
    scene.release(held);
    scene.make(Move::Run(0));
    scene.process.told.clear();
    scene.make(Move::Deliver(0));
    assert_eq!(
        scene.process.told,
        [Effect::Confirmed {
            hold: HoldId(other.0)
        }]
    );
    scene.sent();
    scene.settle();
    assert_eq!(scene.sent(), [Action::Confirm]);
}

#[test]
fn an_unlock_of_what_was_not_held_is_told_as_such() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Exclusive));
    let session = scene.session_of(held);
    scene.release(held);
    scene.make(Move::Send(0));
    scene.process.ledger.answer(session, 0, Answer::No);
    let told: Vec<_> = scene.process.ledger.drain_effects().collect();
    let released = Effect::Released {
        hold: HoldId(held.0),
        was_held: false,
    };
    assert_eq!(told, [released]);
}

#[test]
fn a_session_of_its_own_does_not_try_while_a_shared_one_does() {
    let mut scene = scene();
    scene.asked(ask(9, Exclusive));
    let first = scene.ask(ask(1, Exclusive));
    scene.make(Move::Send(0));
    scene.make(Move::Run(0));
    scene.make(Move::Withdraw(scene.place(first)));
    let own = scene.ask(Ask {
        own_session: true,
        ..tries(1, Exclusive)
    });
    // It would be in its own way.
    assert!(scene.process.waits.is_empty());
    scene.settle();
    assert!(scene.holds(own));
}

#[test]
fn nothing_is_sent_between_the_answers_of_a_pair_that_was_not_run() {
    let mut scene = scene();
    scene.asked(ask(9, Exclusive));
    scene.server.try_lock(OTHER, 1, Exclusive);
    let first = scene.asked(ask(1, Shared));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    // It holds on a wait session.
    scene.release(first);
    let next = scene.ask(ask(1, Shared));
    scene.make(Move::Send(1));
    scene.make(Move::Break(1, false));
    scene.sent();
    scene.make(Move::Deliver(1));
    scene.make(Move::Send(0));
    assert_eq!(scene.sent(), []);
    scene.settle();
    assert!(scene.holds(next));
}

#[test]
fn what_a_session_was_asked_that_had_died_is_asked_on_another() {
    for ask_again in [true, false] {
        let mut scene = scene();
        scene.asked(ask(9, Exclusive));
        let request = scene.ask(ask(1, Exclusive));
        scene.make(Move::Send(0));
        scene.make(Move::Kill(0));
        scene.process.told.clear();
        scene.make(Move::Notice(0, ask_again));
        let failed = Effect::Failed {
            request,
            why: FailureReason::SessionEnded,
        };
        assert_eq!(scene.process.told.contains(&failed), !ask_again);
        scene.settle();
        assert_eq!(
            scene
                .process
                .callers
                .iter()
                .any(|caller| caller.request == request),
            ask_again
        );
    }
}

#[test]
fn who_waited_for_a_release_does_not_fail_with_its_session() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Exclusive));
    let next = scene.asked(ask(1, Exclusive));
    scene.release(held);
    for step in [Move::Send(0), Move::Run(0), Move::Deliver(0), Move::Kill(0)] {
        scene.make(step);
    }
    scene.make(Move::Notice(0, false));
    scene.settle();
    assert!(scene.holds(next));
}

#[test]
fn a_wait_that_ends_with_its_session_begins_with_a_try() {
    for ask_again in [true, false] {
        let mut scene = scene();
        scene.server.try_lock(OTHER, 1, Exclusive);
        let request = scene.asked(ask(1, Exclusive));
        scene.sent();
        scene.make(Move::Kill(1));
        scene.make(Move::Notice(1, ask_again));
        scene.settle();
        let waits = scene.process.callers.iter();
        let waits = waits.filter(|caller| caller.request == request).count();
        assert_eq!(waits, usize::from(ask_again));
        let tries = usize::from(ask_again);
        assert_eq!(scene.sent(), vec![Action::Try(Exclusive); tries]);
    }
}
