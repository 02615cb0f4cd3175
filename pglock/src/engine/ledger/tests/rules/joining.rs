//! Several who have a lock shared: who joins whom, and what each of them hears.

use super::super::super::*;
use super::super::process::{Ask, Move};
use super::super::scene::{OTHER, Scene, ask, scene, tries};
use crate::model::options::AdvisoryMode::{Exclusive, Shared};

fn own(key: i64) -> Ask {
    Ask {
        own_session: true,
        ..ask(key, Shared)
    }
}

/// Does what one session can do, which was opened as the `nth`.
fn run_session(scene: &mut Scene, nth: usize) {
    let is_its = |step: &Move| matches!(step, Move::Send(at) | Move::Run(at) | Move::Deliver(at) if *at == nth);
    while let Some(step) = scene
        .process
        .inner_moves(&scene.server)
        .into_iter()
        .find(is_its)
    {
        scene.make(step);
    }
}

#[test]
fn shared_holders_are_one_in_the_server_and_each_hears_that_it_held_to_its_end() {
    let mut scene = scene();
    let one = scene.asked(ask(1, Shared));
    let two = scene.asked(ask(1, Shared));
    assert!(scene.holds(two));
    assert_eq!(scene.server.held(scene.backend_of(one), 1), [0, 1]);
    scene.sent();
    scene.release(one);
    scene.settle();
    assert_eq!(scene.sent(), [Action::Confirm]);
    scene.release(two);
    scene.settle();
    assert_eq!(scene.sent(), [Action::Unlock(Shared)]);
}

#[test]
fn a_writer_that_waits_elsewhere_comes_before_who_would_join() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Shared));
    scene.server.wait(OTHER, 1, Exclusive);
    let late = scene.asked(ask(1, Shared));
    scene.make(Move::Ask(tries(1, Shared)));
    scene.settle();
    assert!(!scene.holds(late));
    scene.release(held);
    scene.settle();
    assert_eq!(scene.server.held(OTHER, 1), [1, 0]);
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    assert!(scene.holds(late));
}

#[test]
fn who_joins_asks_once_for_each_of_the_two_answers() {
    let mut scene = scene();
    scene.asked(ask(1, Shared));
    scene.sent();
    scene.asked(ask(1, Shared));
    let mut sent = scene.sent();
    sent.sort_by_key(|action| *action == Action::Confirm);
    assert_eq!(sent, [Action::ProbeShared, Action::Confirm]);
}

#[test]
fn nobody_joins_a_lock_whose_session_may_have_died() {
    let mut scene = scene();
    scene.asked(ask(1, Shared));
    scene.asked(ask(1, Shared));
    scene.make(Move::Kill(0));
    let late = scene.ask(ask(1, Shared));
    run_session(&mut scene, 1);
    assert!(!scene.holds(late));
    scene.settle();
    assert!(scene.holds(late));
}

#[test]
fn a_session_of_its_own_is_shared_with_nobody_and_joins_nobody() {
    let mut scene = scene();
    let alone = scene.asked(own(1));
    let other = scene.asked(ask(1, Shared));
    assert_ne!(scene.session_of(alone), scene.session_of(other));
    scene.sent();
    let second = scene.asked(own(1));
    assert_ne!(scene.session_of(second), scene.session_of(other));
    assert_eq!(scene.sent(), []);
}

#[test]
fn a_writer_is_not_tried_for_while_another_session_of_ours_has_the_lock() {
    let mut scene = scene();
    let alone = scene.asked(own(1));
    let other = scene.asked(ask(1, Shared));
    let writer = scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.release(other);
    scene.settle();
    assert_eq!(scene.sent(), [Action::Unlock(Shared)]);
    scene.release(alone);
    scene.settle();
    assert!(scene.holds(writer));
}

#[test]
fn who_waits_in_the_server_already_is_not_tried_for_as_well() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Shared));
    scene.server.wait(OTHER, 1, Exclusive);
    scene.asked(ask(1, Shared));
    scene.sent();
    scene.release(held);
    scene.settle();
    assert_eq!(scene.sent(), [Action::Unlock(Shared)]);
}

#[test]
fn a_run_of_shared_requests_is_granted_by_one_answer() {
    let mut scene = scene();
    let first = scene.asked(ask(1, Exclusive));
    let run = [(); 3].map(|()| scene.asked(ask(1, Shared)));
    let writer = scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.release(first);
    scene.settle();
    assert!(run.iter().all(|request| scene.holds(*request)));
    assert!(!scene.holds(writer));
    assert_eq!(
        scene.sent(),
        [Action::Unlock(Exclusive), Action::Try(Shared)]
    );
}

#[test]
fn a_writer_elsewhere_closes_a_ring_of_who_would_have_joined() {
    let mut scene = scene();
    let joined = scene.asked(ask(2, Shared));
    let other = scene.asked(ask(1, Exclusive));
    scene.server.wait(OTHER, 2, Exclusive);
    let waits = scene.ask_around(joined, ask(1, Exclusive));
    // It waits behind the writer, the writer for `joined`, and that for `other`, which is around it.
    let inside = Some(scene.place(other));
    scene.make(Move::Ask(Ask {
        inside,
        ..ask(2, Shared)
    }));
    scene.settle();
    let told = scene.last_told();
    assert!(matches!(told, Effect::Deadlock { .. }), "{told:?}");
    scene.release(other);
    scene.settle();
    assert!(scene.holds(waits));
}

#[test]
fn the_locks_around_those_who_wait_for_the_waiting_are_told_too() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 3, Exclusive);
    let waits = scene.asked(ask(2, Shared));
    let behind = scene.asked(ask(1, Exclusive));
    let joins = scene.asked(ask(4, Exclusive));
    let waiter = scene.ask_around(waits, ask(3, Exclusive));
    // This one joins, and so does not wait for the one above.
    let inside = Some(scene.place(joins));
    scene.ask(Ask {
        inside,
        ..ask(2, Shared)
    });
    let keys = |scene: &mut Scene| -> Vec<_> {
        let enclosing = scene
            .process
            .ledger
            .held_up(Key::Big(3), HeldUpBy::Wait)
            .locks;
        enclosing
            .iter()
            .map(|lock| (lock.request, lock.key))
            .collect()
    };
    assert_eq!(keys(&mut scene), [(waiter, Key::Big(2))]);
    scene.settle();
    let writer = scene.ask_around(behind, ask(2, Exclusive));
    assert_eq!(
        keys(&mut scene),
        [(waiter, Key::Big(2)), (writer, Key::Big(1))]
    );
}

#[test]
fn shared_locks_in_opposite_order_are_not_a_ring() {
    let mut scene = scene();
    let outer = [1, 2].map(|key| scene.asked(ask(key, Shared)));
    for (outer, key) in outer.into_iter().zip([2, 1]) {
        let inside = Some(scene.place(outer));
        scene.make(Move::Ask(Ask {
            inside,
            ..ask(key, Shared)
        }));
    }
    scene.settle();
    let is_deadlock = |effect: &Effect| matches!(effect, Effect::Deadlock { .. });
    assert!(!scene.process.told.iter().any(is_deadlock));
}

#[test]
fn without_a_helper_session_who_would_join_waits_in_the_server() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Shared));
    let waits = scene.ask(ask(1, Shared));
    assert_eq!(scene.process.opening, [Role::Helper]);
    scene.make(Move::OpenFailed(0));
    assert_eq!(scene.process.opening, []);
    scene.settle();
    assert_ne!(scene.session_of(waits), scene.session_of(held));
}
