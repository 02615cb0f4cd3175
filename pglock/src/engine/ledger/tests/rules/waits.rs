//! Waits in the server: who gets one, on which session, and when it ends.

use super::super::super::*;
use super::super::process::{Ask, Move};
use super::super::scene::{OTHER, Scene, ask, scene, small};
use crate::model::options::AdvisoryMode::{Exclusive, Shared};

fn waited_for(scene: &Scene) -> Vec<Key> {
    let waits = scene.process.waits.iter();
    waits.map(|wait| wait.order.key).collect()
}

#[test]
fn keys_without_a_wait_session_are_polled_and_the_first_gets_the_next_one() {
    let mut scene = small();
    for key in 1..=3 {
        scene.server.try_lock(OTHER, key, Exclusive);
    }
    let waits = scene.asked(ask(1, Exclusive));
    scene.asked(ask(2, Exclusive));
    let polled = scene.asked(ask(3, Exclusive));
    assert_eq!(waited_for(&scene), [Key::Big(1)]);
    assert_eq!(
        scene
            .process
            .timers
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    scene.make(Move::Withdraw(scene.place(waits)));
    scene.settle();
    assert_eq!(waited_for(&scene), [Key::Big(2)]);
    scene.server.unlock(OTHER, 3, Exclusive);
    // A timer that was set for something else.
    scene.process.ledger.poll(Key::Big(3), 0);
    scene.process.take_orders();
    scene.settle();
    assert!(!scene.holds(polled));
    scene.make(Move::Timer(1));
    scene.settle();
    assert!(scene.holds(polled));
}

#[test]
fn who_holds_locks_takes_the_wait_session_of_who_does_not_and_is_never_polled() {
    let mut scene = small();
    for key in 1..=4 {
        scene.server.try_lock(OTHER, key, Exclusive);
    }
    let outer = [5, 6, 7].map(|key| scene.asked(ask(key, Exclusive)));
    scene.asked(ask(1, Exclusive));
    scene.ask_around(outer[0], ask(2, Exclusive));
    assert_eq!(waited_for(&scene), [Key::Big(2)]);
    scene.ask_around(outer[1], ask(3, Exclusive));
    assert_eq!(waited_for(&scene), [Key::Big(2), Key::Big(3)]);
    let inside = Some(scene.place(outer[2]));
    scene.make(Move::Ask(Ask {
        inside,
        ..ask(4, Exclusive)
    }));
    scene.settle();
    let told = scene.last_told();
    assert!(
        matches!(
            told,
            Effect::Failed {
                why: FailureReason::NoWaitSession,
                ..
            }
        ),
        "{told:?}"
    );
    assert_eq!(
        scene
            .process
            .timers
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_nested_wait_is_on_the_session_that_holds_only_the_locks_around_it() {
    let mut scene = small();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.server.try_lock(OTHER, 2, Exclusive);
    let outer = scene.asked(ask(1, Exclusive));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    let session = scene.session_of(outer);
    let inner = scene.ask_around(outer, ask(2, Exclusive));
    assert_eq!(scene.process.waits[0].session, Some(session));
    // The lock around it can be released all the same.
    scene.release(outer);
    scene.settle();
    assert_eq!(scene.server.held(OTHER, 1), [0, 0]);
    scene.server.unlock(OTHER, 2, Exclusive);
    scene.settle();
    assert!(scene.holds(inner));
}

#[test]
fn who_holds_locks_comes_before_who_lines_up() {
    let mut scene = small();
    for key in 1..=3 {
        scene.server.try_lock(OTHER, key, Exclusive);
    }
    let outer = scene.asked(ask(5, Exclusive));
    scene.asked(ask(1, Exclusive));
    scene.asked(ask(2, Exclusive));
    scene.ask_around(outer, ask(3, Exclusive));
    assert_eq!(waited_for(&scene), [Key::Big(3)]);
}

#[test]
fn a_wait_on_a_session_that_holds_a_lock_makes_no_room() {
    let mut scene = small();
    for key in 1..=3 {
        scene.server.try_lock(OTHER, key, Exclusive);
    }
    let waited = scene.asked(ask(1, Exclusive));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    let inner = scene.ask_around(waited, ask(2, Exclusive));
    scene.asked(ask(2, Exclusive));
    scene.make(Move::Withdraw(scene.place(inner)));
    let outer = scene.asked(ask(5, Exclusive));
    let inside = Some(scene.place(outer));
    scene.make(Move::Ask(Ask {
        inside,
        ..ask(3, Exclusive)
    }));
    scene.settle();
    assert_eq!(waited_for(&scene), [Key::Big(2), Key::Big(3)]);
    assert!(scene.process.timers.is_empty());
}

#[test]
fn a_nested_wait_is_not_where_a_sibling_holds_the_same_lock() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.server.try_lock(OTHER, 2, Exclusive);
    let outer = scene.asked(ask(1, Shared));
    let sibling = scene.asked(ask(1, Shared));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    let session = scene.session_of(outer);
    assert_eq!(scene.session_of(sibling), session);
    scene.ask_around(outer, ask(2, Exclusive));
    assert_ne!(scene.process.waits[0].session, Some(session));
}

#[test]
fn a_deadlock_on_the_session_of_enclosing_locks_is_told_to_whom_they_enclose() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.server.try_lock(OTHER, 2, Exclusive);
    let outer = scene.asked(ask(1, Exclusive));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    let request = scene.ask_around(outer, ask(2, Exclusive));
    scene.make(Move::WaitBreak(0, WaitAnswer::Deadlock));
    assert_eq!(scene.last_told(), Effect::Deadlock { request });
}

#[test]
fn a_wait_goes_on_that_is_needed_again_before_its_cancel_is_ordered() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    let reader = scene.asked(ask(1, Shared));
    let writer = scene.asked(ask(1, Exclusive));
    scene.asked(ask(1, Shared));
    for gone in [reader, writer] {
        let withdraw = Move::Withdraw(scene.place(gone));
        scene.process.make(withdraw, &mut scene.server);
    }
    scene.process.take_orders();
    assert!(!scene.process.waits[0].cancel);
}

#[test]
fn a_wait_that_is_being_canceled_says_nothing_of_who_has_the_lock() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    let gone = scene.asked(ask(1, Exclusive));
    scene.make(Move::Withdraw(scene.place(gone)));
    let next = scene.ask(ask(1, Exclusive));
    assert_eq!(scene.process.ledger.waits_for(next), Some(HeldBy::Unknown));
}

#[test]
fn a_shared_wait_does_not_do_for_an_exclusive_request() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    let gone = scene.asked(ask(1, Shared));
    scene.asked(ask(1, Exclusive));
    scene.make(Move::Withdraw(scene.place(gone)));
    scene.settle();
    assert_eq!(scene.process.waits[0].order.mode, Exclusive);
}

#[test]
fn what_was_waited_for_is_tried_before_it_is_waited_for_again() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.make(Move::WaitBreak(0, WaitAnswer::Canceled));
    scene.settle();
    assert_eq!(scene.sent(), [Action::Try(Exclusive)]);
    assert_eq!(waited_for(&scene), [Key::Big(1)]);
}

#[test]
fn after_a_wait_session_could_not_be_opened_none_is_ordered_for_a_while() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.ask(ask(1, Exclusive));
    scene.make(Move::Opened(0));
    for step in [Move::Send(0), Move::Run(0), Move::Deliver(0)] {
        scene.make(step);
    }
    assert_eq!(waited_for(&scene), [Key::Big(1)]);
    scene.make(Move::WaitNoSession(0));
    scene.settle();
    assert_eq!(waited_for(&scene), []);
    scene.make(Move::RetryWaits);
    assert_eq!(waited_for(&scene), [Key::Big(1)]);
}

#[test]
fn who_is_polled_while_we_have_it_shared_joins_when_the_writer_has_gone() {
    let mut scene = small();
    scene.server.try_lock(OTHER, 2, Exclusive);
    scene.asked(ask(2, Exclusive));
    scene.asked(ask(1, Shared));
    scene.server.wait(OTHER, 1, Exclusive);
    let polled = scene.asked(ask(1, Shared));
    assert!(!scene.holds(polled));
    scene.server.cancel(OTHER);
    scene.make(Move::Timer(0));
    scene.settle();
    assert!(scene.holds(polled));
}

#[test]
fn a_request_is_in_line_once_the_server_has_let_it_wait() {
    let key = Key::Big(1);
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    assert!(!scene.process.ledger.is_in_line(key));
    let shared = scene.ask(ask(1, Exclusive));
    assert!(!scene.process.ledger.is_in_line(key), "nobody was asked");
    scene.settle();
    assert!(scene.process.ledger.is_in_line(key));
    scene.make(Move::Withdraw(scene.place(shared)));
    scene.settle();
    assert!(!scene.process.ledger.is_in_line(key), "nobody waits");

    scene.ask(Ask {
        own_session: true,
        ..ask(1, Exclusive)
    });
    assert!(!scene.process.ledger.is_in_line(key), "it has no session");
    scene.settle();
    assert!(scene.process.ledger.is_in_line(key));

    let key = Key::Big(2);
    scene.asked(ask(2, Exclusive));
    assert!(!scene.process.ledger.is_in_line(key), "it has the lock");
    scene.asked(ask(2, Exclusive));
    let in_line = scene.process.ledger.is_in_line(key);
    assert!(!in_line, "behind one of ours nobody is asked");

    let mut scene = small();
    for key in 1..=2 {
        scene.server.try_lock(OTHER, key, Exclusive);
        scene.asked(ask(key, Exclusive));
    }
    assert_eq!(waited_for(&scene), [Key::Big(1)]);
    assert!(scene.process.ledger.is_in_line(Key::Big(2)), "polled");
}
