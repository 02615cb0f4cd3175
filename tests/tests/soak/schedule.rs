//! What the workers do and what is done to them: all of it follows from a seed. Pure.
//!
//! What the seed does not fix is real time: how long a statement takes, and so who meets whom.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use pglock::LockId;

use crate::log::{Frailty, Mode};

/// Few, so that they are contended.
pub(crate) const KEYS: usize = 4;

/// One of each kind.
pub(crate) fn lock_id(key: usize) -> LockId {
    match key {
        0 => "soak".into(),
        1 => (-7).into(),
        2 => (1, -2).into(),
        _ => "soak, a name whose key has the sign bit set".into(),
    }
}

/// How calls inside calls nest at most.
const DEPTH: usize = 3;

/// In which order calls inside calls take their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    /// The same for all, so that there are no deadlocks, and whoever is told of one has been told wrong.
    Ascending,
}

impl Order {
    /// That of a round: of two that follow each other, one of each.
    pub(crate) fn of_round(seed: u64) -> Self {
        if seed.is_multiple_of(2) {
            Self::Ascending
        } else {
            Self::Any
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Blocking,
    Async,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `run` and its like.
    Run,
    /// A function under the attribute.
    Attribute,
    Guard,
    /// A guard on a connection of the worker's own.
    Connection,
    /// A transaction of the worker's own.
    Transaction,
}

impl Way {
    /// Whether a call in its body with the same key re-enters.
    fn is_entered_again(self) -> bool {
        matches!(self, Self::Run | Self::Attribute)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Forever,
    For(Duration),
    Try,
}

/// How a body ends, if it comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Return,
    /// With an error of its own; a guard is dropped and not released.
    Fail,
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) key: usize,
    pub(crate) mode: Mode,
    pub(crate) way: Way,
    pub(crate) wait: Wait,
    pub(crate) xact: bool,
    /// On a session that no other lock shares.
    pub(crate) dedicated: bool,
    pub(crate) kept_for: Option<Duration>,
    /// Before the call inside this one, and again after it.
    pub(crate) work: Duration,
    pub(crate) inner: Option<Box<Call>>,
    pub(crate) end: End,
    /// When its future is dropped, if it isn't done by then.
    pub(crate) dropped_after: Option<Duration>,
}

/// What a worker does next, and for how long it rests before.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) rest: Duration,
    pub(crate) call: Call,
}

impl Step {
    pub(crate) fn next(rng: &mut Rng, door: Door, order: Order) -> Self {
        Self {
            rest: micros(rng, 0..3_000),
            call: Call::next(rng, door, order, &mut Vec::new()),
        }
    }
}

/// A call that encloses another one.
struct Enclosing {
    key: usize,
    mode: Mode,
    way: Way,
}

impl Call {
    pub(crate) fn frailty(&self) -> Frailty {
        match self.way {
            Way::Connection | Way::Transaction => Frailty::EndsByCancel,
            Way::Run | Way::Guard if self.xact => Frailty::EndsByCancel,
            Way::Run | Way::Guard | Way::Attribute => Frailty::OutlastsCancels,
        }
    }

    fn next(rng: &mut Rng, door: Door, order: Order, enclosing: &mut Vec<Enclosing>) -> Self {
        let key = *rng.choice(&keys(order, enclosing)).expect("there is one");
        // Others would wait for the very call that encloses them.
        let entered_again = enclosing.iter().find(|outer| outer.key == key);
        let way = match entered_again {
            Some(_) => Way::Run,
            None => any_way(rng, enclosing.is_empty()),
        };
        let mode = match entered_again {
            Some(outer) if outer.mode == Mode::Shared => Mode::Shared,
            // Attributes have their options written into them: of these there are exclusive ones only.
            _ if way == Way::Attribute || rng.u8(..100) < 65 => Mode::Exclusive,
            _ => Mode::Shared,
        };
        let owns_session = matches!(way, Way::Run | Way::Guard) && entered_again.is_none();
        let xact = owns_session && rng.u8(..100) < 15;
        let dedicated = owns_session && !xact && rng.u8(..100) < 20;
        let kept_for =
            (owns_session && !xact && rng.u8(..100) < 8).then(|| micros(rng, 5_000..60_000));
        let nests = enclosing.len() + 1 < DEPTH && rng.u8(..100) < 35;
        enclosing.push(Enclosing { key, mode, way });
        let inner = (nests && !keys(order, enclosing).is_empty())
            .then(|| Box::new(Self::next(rng, door, order, enclosing)));
        enclosing.pop();
        Self {
            key,
            mode,
            way,
            wait: any_wait(rng, enclosing.is_empty() || order == Order::Ascending),
            xact,
            dedicated,
            kept_for,
            work: any_work(rng),
            inner,
            end: match rng.u8(..100) {
                0..88 => End::Return,
                88..95 => End::Fail,
                _ => End::Panic,
            },
            dropped_after: (door == Door::Async && rng.u8(..100) < 30).then(|| any_moment(rng)),
        }
    }
}

/// What a call may ask for: not what an enclosing guard or connection has, which would be waited for in vain.
fn keys(order: Order, enclosing: &[Enclosing]) -> Vec<usize> {
    let is_open = |key: &usize| {
        let of = enclosing.iter().find(|outer| outer.key == *key);
        of.map_or_else(
            || order == Order::Any || enclosing.iter().all(|outer| outer.key < *key),
            |outer| outer.way.is_entered_again(),
        )
    };
    (0..KEYS).filter(is_open).collect()
}

/// A worker has one connection, so only its outermost call uses that.
fn any_way(rng: &mut Rng, outermost: bool) -> Way {
    match rng.u8(..100) {
        0..12 if outermost => Way::Connection,
        12..20 if outermost => Way::Transaction,
        0..40 => Way::Guard,
        40..55 => Way::Attribute,
        _ => Way::Run,
    }
}

/// Without end waits only who can be in no cycle: those through guards and connections are seen by nobody.
fn any_wait(rng: &mut Rng, in_no_cycle: bool) -> Wait {
    match rng.u8(..100) {
        0..35 if in_no_cycle => Wait::Forever,
        0..65 => Wait::For(micros(rng, 20_000..1_500_000)),
        // About as long as a section, so that it ends when the lock is granted.
        65..82 => Wait::For(micros(rng, 1_000..20_000)),
        _ => Wait::Try,
    }
}

/// Mostly short; some are long enough to be in the middle of it when a server is restarted.
fn any_work(rng: &mut Rng) -> Duration {
    match rng.u8(..100) {
        0..60 => micros(rng, 0..1_000),
        60..85 => micros(rng, 1_000..10_000),
        85..97 => micros(rng, 10_000..40_000),
        _ => micros(rng, 100_000..400_000),
    }
}

/// From the first poll to the middle of a wait.
fn any_moment(rng: &mut Rng) -> Duration {
    match rng.u8(..100) {
        0..50 => micros(rng, 0..2_000),
        50..90 => micros(rng, 2_000..30_000),
        _ => micros(rng, 30_000..300_000),
    }
}

fn micros(rng: &mut Rng, range: Range<u64>) -> Duration {
    Duration::from_micros(rng.u64(range))
}

/// Which session is terminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Holder,
    Waiter,
    /// That of pglock's own with the most locks: the one that is shared.
    Crowded,
    Anyone,
}

/// What is done to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A session is terminated, the one of that number among those that there are then.
    Terminate { victim: Victim, number: usize },
    /// The process in that place is killed, and another one takes its place.
    Kill { place: usize },
    /// It is stopped for a time; meanwhile a session of its own is terminated, or not.
    Freeze {
        place: usize,
        number: Option<usize>,
        time: Duration,
    },
    /// The server is stopped as by an administrator, and started again.
    Stop { time: Duration },
    /// It crashes, and is started again.
    Crash { time: Duration },
    /// The statements of all sessions are canceled, over and over.
    Cancel { time: Duration },
    /// The server's lock table is full.
    Fill { time: Duration },
}

/// The end of a round, in which nothing is done to the workers: what they leave behind is not cleared away by a fault.
const QUIET: Duration = Duration::from_secs(3);

/// What is done in a round of that length, and how long after its begin.
pub(crate) fn troubles(rng: &mut Rng, length: Duration, places: usize) -> Vec<(Duration, Trouble)> {
    let mut at = Duration::ZERO;
    let mut moments = Vec::new();
    loop {
        at += micros(rng, 80_000..350_000);
        if at + QUIET >= length {
            break;
        }
        moments.push(at);
    }
    let mut troubles: Vec<_> = moments.iter().map(|_| any_trouble(rng, places)).collect();
    // One of each in every round: the other ones come often enough by themselves.
    let time = micros(rng, 0..200_000);
    let restarts = [Trouble::Stop { time }, Trouble::Crash { time }];
    for (place, restart) in troubles.iter_mut().zip(restarts) {
        *place = restart;
    }
    rng.shuffle(&mut troubles);
    moments.into_iter().zip(troubles).collect()
}

fn any_trouble(rng: &mut Rng, places: usize) -> Trouble {
    let number = rng.usize(..);
    let place = rng.usize(..places);
    match rng.u8(..100) {
        0..24 => Trouble::Terminate {
            victim: Victim::Holder,
            number,
        },
        24..35 => Trouble::Terminate {
            victim: Victim::Waiter,
            number,
        },
        35..48 => Trouble::Terminate {
            victim: Victim::Crowded,
            number,
        },
        48..54 => Trouble::Terminate {
            victim: Victim::Anyone,
            number,
        },
        54..66 => Trouble::Kill { place },
        66..80 => Trouble::Freeze {
            place,
            number: rng.bool().then_some(number),
            time: micros(rng, 1_000..300_000),
        },
        80..92 => Trouble::Cancel {
            time: micros(rng, 0..60_000),
        },
        _ => Trouble::Fill {
            time: micros(rng, 10_000..200_000),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [Order; 2] = [Order::Any, Order::Ascending];

    fn steps(seed: u64) -> Vec<String> {
        let mut rng = Rng::with_seed(seed);
        let steps = (0..500).map(|n| {
            let door = if n % 2 == 0 {
                Door::Blocking
            } else {
                Door::Async
            };
            format!("{:?}", Step::next(&mut rng, door, Order::Any))
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
            // The outermost has the lock.
            if let Some(owner) = enclosing.iter().find(|outer| outer.key == call.key) {
                assert!(
                    owner.way.is_entered_again() && call.way == Way::Run,
                    "{call:?}"
                );
                assert!(
                    owner.mode == Mode::Exclusive || call.mode == Mode::Shared,
                    "{call:?}"
                );
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
            look(&Step::next(&mut rng, Door::Async, order).call, &[], order);
        }
    }

    #[test]
    fn in_an_order_nobody_asks_for_a_lower_key() {
        /// How many keys are asked for while another one is held.
        fn look(call: &Call, held: &[usize]) -> usize {
            let is_new = !held.contains(&call.key);
            assert!(
                !is_new || held.iter().all(|key| *key < call.key),
                "{call:?}"
            );
            let inner = call.inner.as_ref();
            let held: Vec<_> = held.iter().copied().chain([call.key]).collect();
            usize::from(is_new && held.len() > 1) + inner.map_or(0, |inner| look(inner, &held))
        }

        let mut rng = Rng::with_seed(1);
        let step = |_| Step::next(&mut rng, Door::Async, Order::Ascending);
        let steps: Vec<_> = (0..20_000).map(step).collect();
        let nested: usize = steps.iter().map(|step| look(&step.call, &[])).sum();
        assert!(nested > 1_000, "{nested}");
    }
}
