use super::troubles::{Trouble, troubles};
use super::*;

const ORDERS: [Order; 2] = [Order::Any, Order::Ascending];
const DOORS: [Door; 3] = [Door::Blocking, Door::Async, Door::Leading];

fn steps(seed: u64) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    let steps = (0..500).map(|n| {
        let step = Step::next(&mut rng, DOORS[n % 3], Order::Any);
        format!("{step:?}")
    });
    steps.collect()
}

#[test]
fn a_seed_says_it_all() {
    assert_eq!(steps(7), steps(7));
    assert_ne!(steps(7), steps(8));
    let troubles = |seed| troubles(&mut Rng::with_seed(seed), Duration::from_secs(20), 3);
    assert_eq!(troubles(7), troubles(7));
    assert_ne!(troubles(7), troubles(8));
}

#[test]
fn every_round_has_both_restarts() {
    for seed in 0..100 {
        let troubles = troubles(&mut Rng::with_seed(seed), Duration::from_secs(20), 3);
        let of = |kind: fn(&Trouble) -> bool| troubles.iter().any(|(_, trouble)| kind(trouble));
        assert!(of(|trouble| matches!(trouble, Trouble::Stop { .. })));
        assert!(of(|trouble| matches!(trouble, Trouble::Crash { .. })));
    }
}

#[test]
fn nobody_waits_for_an_enclosing_call() {
    fn look(call: &Call, enclosing: &[&Call], order: Order) {
        for key in &call.keys {
            // The outermost has the lock.
            let mut outer = enclosing.iter();
            if let Some(owner) = outer.find(|outer| outer.keys.contains(key)) {
                assert!(
                    owner.way.is_entered_again() && call.way == Way::Run,
                    "{call:?}"
                );
                assert!(
                    owner.mode != Mode::Shared || call.mode == Mode::Shared,
                    "{call:?}"
                );
                assert!(call.kept_for.is_none() && !call.xact && !call.dedicated);
            } else {
                assert!(*key != LEADERS || enclosing.is_empty(), "{call:?}");
            }
        }
        assert!(
            enclosing.is_empty() || order == Order::Ascending || call.wait != Wait::Forever,
            "{call:?}"
        );
        if let Some(inner) = &call.inner {
            let enclosing: Vec<_> = enclosing.iter().copied().chain([call]).collect();
            look(inner, &enclosing, order);
        }
    }

    let mut rng = Rng::with_seed(1);
    for n in 0..20_000 {
        let order = ORDERS[n % 2];
        look(&Step::next(&mut rng, DOORS[n % 3], order).call, &[], order);
    }
}

#[test]
fn in_an_order_nobody_asks_for_a_lower_key() {
    /// How many keys are asked for while another one is held.
    fn look(call: &Call, held: &[usize]) -> usize {
        let new = call.keys.iter().filter(|key| !held.contains(key));
        let new: Vec<_> = new.copied().collect();
        for key in &new {
            assert!(held.iter().all(|held| held < key), "{call:?}");
        }
        let inner = call.inner.as_ref();
        let is_asked_inside = !new.is_empty() && !held.is_empty();
        let held: Vec<_> = held.iter().copied().chain(new).collect();
        usize::from(is_asked_inside) + inner.map_or(0, |inner| look(inner, &held))
    }

    let mut rng = Rng::with_seed(1);
    let step = |n: usize| Step::next(&mut rng, DOORS[n % 3], Order::Ascending);
    let steps: Vec<_> = (0..20_000).map(step).collect();
    let nested: usize = steps.iter().map(|step| look(&step.call, &[])).sum();
    assert!(nested > 1_000, "{nested}");
}

#[test]
fn all_ways_of_taking_several_and_permits_come() {
    fn look(call: &Call, seen: &mut Vec<(Way, bool, bool)>) {
        let this = (call.way, call.keys.len() > 1, call.permits().is_some());
        assert!(this != (Way::Connection, true, false) && this != (Way::Connection, false, true));
        assert!(
            call.permits().is_none() || call.keys.len() == 1 && !call.xact,
            "{call:?}"
        );
        if !seen.contains(&this) {
            seen.push(this);
        }
        if let Some(inner) = &call.inner {
            look(inner, seen);
        }
    }

    let mut rng = Rng::with_seed(1);
    let mut seen = Vec::new();
    for n in 0..20_000 {
        let step = Step::next(&mut rng, DOORS[n % 3], ORDERS[n % 2]);
        look(&step.call, &mut seen);
    }
    for way in [Way::Run, Way::Guard, Way::Attribute] {
        assert!(seen.contains(&(way, true, false)), "{way:?}");
        assert!(seen.contains(&(way, false, true)), "{way:?}");
    }
}
