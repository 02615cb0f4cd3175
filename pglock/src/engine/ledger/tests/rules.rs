//! The rules one by one.

mod alone;
mod joining;
mod late;
mod rings;
mod waits;

use super::super::*;
use super::process::{Ask, Move};
use super::scene::{OTHER, Scene, ask, scene, small, tries};
use crate::model::options::AdvisoryMode::{Exclusive, Shared};

#[test]
fn a_try_of_what_we_hold_is_busy_without_sql() {
    let mut scene = scene();
    scene.asked(ask(1, Exclusive));
    scene.sent();
    for mode in [Exclusive, Shared] {
        scene.make(Move::Ask(tries(1, mode)));
        let told = scene.last_told();
        assert!(
            matches!(
                told,
                Effect::Busy {
                    held_by: HeldBy::Ourselves,
                    ..
                }
            ),
            "{told:?}"
        );
        assert_eq!(scene.sent(), []);
    }
}

#[test]
fn a_try_of_what_others_hold_asks_the_server_each_time() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 1, Exclusive);
    scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.make(Move::Ask(tries(1, Exclusive)));
    scene.settle();
    let told = scene.last_told();
    assert!(
        matches!(
            told,
            Effect::Busy {
                held_by: HeldBy::Elsewhere,
                ..
            }
        ),
        "{told:?}"
    );
    assert_eq!(scene.sent(), [Action::Try(Exclusive)]);
}

#[test]
fn a_try_right_after_a_release_does_not_find_its_own_lock() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Exclusive));
    scene.release(held);
    let again = scene.asked(tries(1, Exclusive));
    assert!(scene.holds(again));
}

#[test]
fn a_release_and_the_try_of_the_next_are_a_pair() {
    let mut scene = scene();
    let first = scene.asked(ask(1, Exclusive));
    let next = scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.release(first);
    scene.make(Move::Send(0));
    assert_eq!(
        scene.sent(),
        [Action::Unlock(Exclusive), Action::Try(Exclusive)]
    );
    scene.settle();
    assert_eq!(scene.sent(), []);
    assert!(scene.holds(next));
}

#[test]
fn who_waits_in_the_server_gets_the_lock_between_an_unlock_and_a_try() {
    let mut scene = scene();
    let first = scene.asked(ask(1, Exclusive));
    let next = scene.asked(ask(1, Exclusive));
    scene.server.wait(OTHER, 1, Exclusive);
    scene.release(first);
    scene.settle();
    assert!(!scene.holds(next));
    scene.server.unlock(OTHER, 1, Exclusive);
    scene.settle();
    assert!(scene.holds(next));
}

#[test]
fn a_request_withdrawn_before_it_is_sent_costs_nothing() {
    let mut scene = scene();
    scene.asked(ask(2, Exclusive));
    let held = scene.asked(ask(1, Exclusive));
    scene.sent();
    let fresh = scene.ask(ask(3, Exclusive));
    scene.make(Move::Withdraw(scene.place(fresh)));
    let next = scene.ask(ask(1, Exclusive));
    scene.release(held);
    scene.make(Move::Withdraw(scene.place(next)));
    scene.settle();
    assert_eq!(scene.sent(), [Action::Unlock(Exclusive)]);
}

#[test]
fn a_withdrawal_says_who_has_the_lock() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 2, Exclusive);
    let unknown = scene.ask(ask(1, Exclusive));
    assert_eq!(
        scene.process.ledger.withdraw(unknown),
        Some(HeldBy::Unknown)
    );
    scene.process.callers.clear();
    let held = scene.asked(ask(1, Exclusive));
    let ours = scene.asked(ask(1, Exclusive));
    let next = scene.asked(ask(1, Exclusive));
    let theirs = scene.asked(ask(2, Exclusive));
    assert_eq!(scene.process.ledger.withdraw(ours), Some(HeldBy::Ourselves));
    // Until its unlock is answered.
    scene.process.ledger.release(HoldId(held.0));
    assert_eq!(scene.process.ledger.withdraw(next), Some(HeldBy::Ourselves));
    assert_eq!(
        scene.process.ledger.withdraw(theirs),
        Some(HeldBy::Elsewhere)
    );
    assert_eq!(scene.process.ledger.withdraw(theirs), None);
}

#[test]
fn the_markers_of_a_wait_are_told() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 3, Exclusive);
    let outer = scene.asked(ask(1, Shared));
    let inner = scene.ask_around(outer, ask(2, Exclusive));
    scene.asked(ask(3, Exclusive));
    let waiter = scene.ask_around(inner, ask(3, Exclusive));
    let told = scene
        .process
        .ledger
        .held_up(Key::Big(3), HeldUpBy::Wait)
        .locks;
    let lock = |holder: RequestId, key, mode| Enclosing {
        request: waiter,
        key: Key::Big(key),
        mode,
        session: scene.session_of(holder),
    };
    assert_eq!(told, [lock(inner, 2, Exclusive), lock(outer, 1, Shared)]);
}

#[test]
fn a_crowded_session_drains_and_is_used_again() {
    let mut scene = small();
    let early = [1, 2, 3].map(|key| scene.asked(ask(key, Exclusive)));
    let late = scene.asked(ask(4, Exclusive));
    let first = scene.session_of(early[0]);
    assert_ne!(scene.session_of(late), first);
    for request in early {
        scene.release(request);
        scene.settle();
    }
    // With this one the second is crowded too, and the first has room.
    let last = [5, 6].map(|key| scene.asked(ask(key, Exclusive)));
    assert_eq!(scene.session_of(last[1]), scene.session_of(late));
    let again = scene.asked(ask(7, Exclusive));
    assert_eq!(scene.session_of(again), first);
    assert_eq!(scene.process.sessions.len(), 2);
}

#[test]
fn a_session_that_has_not_drained_is_not_used_again() {
    let mut scene = small();
    let early = [1, 2, 3].map(|key| scene.asked(ask(key, Exclusive)));
    let late = [4, 5, 6].map(|key| scene.asked(ask(key, Exclusive)));
    let full = [early[0], late[0]].map(|request| scene.session_of(request));
    scene.release(early[0]);
    scene.settle();
    let last = scene.asked(ask(7, Exclusive));
    assert!(!full.contains(&scene.session_of(last)));
}

#[test]
fn while_a_session_has_room_nobody_is_told_that_a_second_could_not_be_opened() {
    let mut scene = Scene::new(Limits {
        drain_above: 0,
        ..Limits::default()
    });
    scene.ask(ask(1, Exclusive));
    scene.make(Move::Opened(0));
    scene.make(Move::Send(0));
    let next = scene.ask(ask(2, Exclusive));
    scene.make(Move::Run(0));
    scene.make(Move::Deliver(0));
    assert_eq!(scene.process.opening, [Role::Shared]);
    scene.make(Move::OpenFailed(0));
    scene.settle();
    assert!(scene.holds(next));
}

#[test]
fn a_batch_does_not_fill_a_session_above_its_limit() {
    let mut scene = small();
    // Four fit into a batch.
    let asked = [1, 2, 3, 4].map(|key| scene.ask(ask(key, Exclusive)));
    scene.settle();
    let sessions = asked.map(|request| scene.session_of(request));
    assert!(sessions[..3].iter().all(|session| *session == sessions[0]));
    assert_ne!(sessions[3], sessions[0]);
}

#[test]
fn no_more_locks_are_asked_for_than_the_table_may_hold() {
    let mut scene = small();
    for key in 1..=6 {
        scene.asked(ask(key, Exclusive));
    }
    scene.make(Move::Ask(ask(7, Exclusive)));
    scene.settle();
    let told = scene.last_told();
    assert!(
        matches!(
            told,
            Effect::Failed {
                why: FailureReason::LockTableFull,
                ..
            }
        ),
        "{told:?}"
    );
}

#[test]
fn markers_have_room_in_the_lock_table_too() {
    let mut scene = small();
    for key in 1..=4 {
        scene.asked(ask(key, Exclusive));
    }
    let ledger = &mut scene.process.ledger;
    let reserved = [(); 3].map(|()| ledger.reserve_marker());
    assert_eq!(reserved, [true, true, false]);
    scene.make(Move::Ask(ask(5, Exclusive)));
    scene.settle();
    let told = scene.last_told();
    let full = FailureReason::LockTableFull;
    assert!(
        matches!(told, Effect::Failed { why, .. } if why == full),
        "{told:?}"
    );
    scene.process.ledger.markers_dropped(2);
    let asked = scene.asked(ask(5, Exclusive));
    assert!(scene.holds(asked));
}

#[test]
fn a_failure_to_connect_is_told_to_all_who_waited_when_it_began() {
    let mut scene = scene();
    scene.ask(ask(1, Exclusive));
    // Opening began with the first.
    let late = scene.ask(ask(1, Exclusive));
    let other = scene.ask(tries(2, Exclusive));
    scene.make(Move::OpenFailed(0));
    assert_eq!(scene.process.told.len(), 1);
    assert_eq!(scene.process.opening, [Role::Shared]);
    scene.settle();
    assert!(scene.holds(late) && scene.holds(other));
}

#[test]
fn exactly_the_holders_of_a_session_are_lost_with_it() {
    let mut scene = scene();
    scene.server.try_lock(OTHER, 2, Exclusive);
    let lost = scene.asked(ask(1, Exclusive));
    let next = scene.asked(ask(1, Exclusive));
    let waited = scene.asked(ask(2, Exclusive));
    scene.server.unlock(OTHER, 2, Exclusive);
    scene.settle();
    let own = scene.asked(Ask {
        own_session: true,
        ..ask(3, Exclusive)
    });
    scene.process.told.clear();
    scene.make(Move::Kill(0));
    scene.make(Move::Notice(0, false));
    assert_eq!(
        scene.process.told,
        [Effect::Lost {
            hold: HoldId(lost.0)
        }]
    );
    scene.settle();
    assert!(scene.holds(next) && scene.holds(waited) && scene.holds(own));
}

#[test]
fn a_hold_is_confirmed_by_its_session() {
    let mut scene = scene();
    let held = scene.asked(ask(1, Exclusive));
    scene.sent();
    scene.make(Move::Confirm(scene.place(held)));
    scene.settle();
    assert_eq!(scene.sent(), [Action::Confirm]);
    assert_eq!(
        scene.last_told(),
        Effect::Confirmed {
            hold: HoldId(held.0)
        }
    );
}

#[test]
fn a_full_session_gets_a_successor_also_after_that_could_not_be_opened() {
    let mut scene = small();
    for key in 1..=3 {
        scene.ask(ask(key, Exclusive));
    }
    scene.make(Move::Opened(0));
    scene.make(Move::Send(0));
    (0..3).for_each(|_| scene.make(Move::Run(0)));
    (0..3).for_each(|_| scene.make(Move::Deliver(0)));
    scene.make(Move::OpenFailed(0));
    assert_eq!(scene.process.opening, []);
    let next = scene.ask(ask(4, Exclusive));
    assert_eq!(scene.process.opening, [Role::Shared]);
    scene.settle();
    assert!(scene.holds(next));
}

#[test]
fn a_failure_to_connect_is_told_to_those_too_who_came_while_it_lasted() {
    let mut scene = scene();
    let first = scene.ask(ask(1, Exclusive));
    let came = scene.ask(ask(2, Exclusive));
    let late = scene.ask(ask(3, Exclusive));
    scene
        .process
        .ledger
        .open_failed(Role::Shared, std::iter::once(came));
    let mut told: Vec<_> = scene.process.ledger.drain_effects().collect();
    let failed = |request| Effect::Failed {
        request,
        why: FailureReason::NoSession,
    };
    told.sort_by_key(|effect| *effect != failed(first));
    assert_eq!(told, [failed(first), failed(came)]);
    assert_eq!(scene.process.ledger.waits_for(late), Some(HeldBy::Unknown));
}
