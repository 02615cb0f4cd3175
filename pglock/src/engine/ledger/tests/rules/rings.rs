//! Deadlocks within the process.

use std::time::{Duration, Instant};

use super::super::super::*;
use super::super::process::{Ask, Move};
use super::super::scene::{OTHER, Scene, ask, scene};
use crate::model::options::AdvisoryMode::{self, Exclusive, Shared};

#[test]
fn who_closes_a_ring_is_told_at_once() {
    let mut scene = scene();
    let one = scene.asked(ask(1, Exclusive));
    let two = scene.asked(ask(2, Exclusive));
    let waits = scene.ask_around(one, ask(2, Exclusive));
    scene.sent();
    let inside = Some(scene.place(two));
    scene.make(Move::Ask(Ask {
        inside,
        ..ask(1, Exclusive)
    }));
    let told = scene.last_told();
    assert!(matches!(told, Effect::Deadlock { .. }), "{told:?}");
    assert_eq!(scene.sent(), []);
    scene.release(two);
    scene.settle();
    assert!(scene.holds(waits));
}

#[test]
fn a_ring_of_three_is_told_at_once() {
    let mut scene = scene();
    let [one, two, three] = [1, 2, 3].map(|key| scene.asked(ask(key, Exclusive)));
    scene.ask_around(one, ask(2, Exclusive));
    scene.ask_around(two, ask(3, Exclusive));
    let inside = Some(scene.place(three));
    scene.make(Move::Ask(Ask {
        inside,
        ..ask(1, Exclusive)
    }));
    let told = scene.last_told();
    assert!(matches!(told, Effect::Deadlock { .. }), "{told:?}");
}

/// A ledger with its sessions, all of whose operations succeed.
struct Granting {
    ledger: Ledger,
    shared: SessionId,
    helper: SessionId,
}

impl Granting {
    fn new() -> Self {
        let mut ledger = Ledger::new(Limits {
            drain_above: usize::MAX,
            session_locks: usize::MAX,
            locks: usize::MAX,
            ..Limits::default()
        });
        let shared = ledger.session_opened(Role::Shared);
        let helper = ledger.session_opened(Role::Helper);
        Self {
            ledger,
            shared,
            helper,
        }
    }

    fn ask(&mut self, key: i64, mode: AdvisoryMode, enclosing: &[HoldId]) {
        self.ledger.ask(LedgerRequest {
            key: Key::Big(key),
            mode,
            no_wait: false,
            own_session: false,
            enclosing,
            holds_elsewhere: false,
        });
    }

    fn answer_all(&mut self, session: SessionId, answer: Answer) {
        let mut ops = Vec::new();
        self.ledger.next_batch(session, 512, &mut ops);
        for nth in 0..ops.len() {
            self.ledger.answer(session, nth, answer);
        }
    }

    fn granted(&mut self, key: i64, mode: AdvisoryMode) -> HoldId {
        self.ask(key, mode, &[]);
        self.answer_all(self.shared, Answer::Yes);
        let mut effects = self.ledger.drain_effects();
        let hold = effects.find_map(|effect| match effect {
            Effect::Granted { hold, .. } => Some(hold),
            _ => None,
        });
        hold.expect("nobody else has it")
    }
}

#[test]
fn long_queues_are_searched_once_when_many_may_close_a_ring() {
    const CALLERS: i64 = 20_000;
    let mut process = Granting::new();
    process.granted(1, Shared);
    let outer = process.granted(2, Exclusive);
    for key in 0..CALLERS {
        let own = process.granted(10 + key, Exclusive);
        process.ask(2, Exclusive, &[own]);
    }
    for _ in 0..CALLERS {
        process.ask(1, Shared, &[outer]);
    }
    // A writer of another process waits for what the second half wanted to join: each of them might close a ring.
    let began = Instant::now();
    process.answer_all(process.helper, Answer::No);
    let took = began.elapsed();
    assert_eq!(process.ledger.drain_effects().count(), 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A caller holds lock 1 shared, and one waits inside it for lock 2, which another caller holds: the latter is returned.
fn one_waits_for(scene: &mut Scene) -> RequestId {
    let [one, two] = [ask(1, Shared), ask(2, Exclusive)].map(|asked| scene.asked(asked));
    scene.ask_around(one, ask(2, Exclusive));
    two
}

#[test]
fn all_are_told_whose_rings_a_writer_elsewhere_closes() {
    let mut scene = scene();
    let two = one_waits_for(&mut scene);
    scene.server.wait(OTHER, 1, Exclusive);
    let inside = Some(scene.place(two));
    let siblings = [(); 2].map(|()| {
        scene.ask(Ask {
            inside,
            ..ask(1, Shared)
        })
    });
    scene.process.told.clear();
    scene.settle();
    assert_eq!(
        scene.process.told,
        siblings.map(|request| Effect::Deadlock { request })
    );
}

#[test]
fn a_writer_holds_up_only_those_who_came_later() {
    let mut scene = scene();
    let [one, two] = [ask(1, Shared), ask(2, Exclusive)].map(|asked| scene.asked(asked));
    let inside = |scene: &Scene, outer| Some(scene.place(outer));
    let joins = scene.ask(Ask {
        inside: inside(&scene, two),
        ..ask(1, Shared)
    });
    scene.ask(ask(1, Exclusive));
    let waits = scene.ask(Ask {
        inside: inside(&scene, one),
        ..ask(2, Exclusive)
    });
    scene.settle();
    assert!(scene.holds(joins));
    scene.release(joins);
    scene.release(two);
    scene.settle();
    assert!(scene.holds(waits));
}
