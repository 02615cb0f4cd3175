//! When a caller is alone.

use super::*;

#[test]
fn a_caller_of_an_unknown_key_is_alone_on_a_session_that_is_idle() {
    let mut scene = scene();
    let key = Key::Big(1);
    assert_eq!(scene.process.ledger.session_to_try_on(key), None);
    let first = scene.asked(ask(2, Exclusive));
    let session = scene.session_of(first);
    assert_eq!(scene.process.ledger.session_to_try_on(key), Some(session));
    // Something is to be sent, and then under way.
    scene.ask(ask(3, Exclusive));
    assert_eq!(scene.process.ledger.session_to_try_on(key), None);
    scene.settle();
    assert_eq!(scene.process.ledger.session_to_try_on(key), Some(session));
    scene.asked(ask(1, Exclusive));
    assert_eq!(scene.process.ledger.session_to_try_on(key), None);
}

#[test]
fn a_holder_is_alone_if_nobody_waits_and_nobody_shares() {
    let mut scene = scene();
    let first = scene.asked(ask(1, Shared));
    let session = scene.session_of(first);
    let hold = scene.process.callers[scene.place(first)].hold.unwrap();
    let alone = |scene: &Scene| scene.process.ledger.session_to_unlock_on(hold);
    assert_eq!(alone(&scene), Some(session));
    let second = scene.asked(ask(1, Shared));
    assert_eq!(alone(&scene), None);
    scene.release(second);
    assert_eq!(alone(&scene), None);
    scene.settle();
    assert_eq!(alone(&scene), Some(session));
    scene.asked(ask(1, Exclusive));
    assert_eq!(alone(&scene), None);
}

#[test]
fn nobody_is_alone_who_would_exceed_a_limit() {
    let mut scene = small();
    for key in 0..6 {
        scene.asked(ask(key, Exclusive));
    }
    assert_eq!(scene.process.ledger.session_to_try_on(Key::Big(9)), None);
}
