//! What the workers do and what is done to them: all of it follows from a seed. Pure.
//!
//! What the seed does not fix is real time: how long a statement takes, and so who meets whom.

pub(crate) mod troubles;

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use crate::locks::{LEADERS, LIMITS, LOCKS, permits};
use crate::log::{Frailty, Mode};

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
    /// Of who leads, or waits to lead, all the time.
    Leading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `run` and its like; of a leader, `lead`.
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
    /// Not by itself: only by being dropped, or by the loss of the lock.
    Never,
}

/// How a leader leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) restart: Duration,
    pub(crate) restarts_on_error: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// One, or several at once.
    pub(crate) keys: Vec<usize>,
    pub(crate) lead: Option<Lead>,
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
            call: match door {
                Door::Leading => Call::leading(rng, order),
                Door::Blocking | Door::Async => Call::next(rng, door, order, &mut Vec::new()),
            },
        }
    }
}

/// A call that encloses another one.
struct Enclosing {
    keys: Vec<usize>,
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

    /// How many can have it at once, where it is for a limit.
    pub(crate) fn permits(&self) -> Option<u32> {
        self.keys.first().and_then(|key| permits(*key))
    }

    fn next(rng: &mut Rng, door: Door, order: Order, enclosing: &mut Vec<Enclosing>) -> Self {
        let open = open_keys(order, enclosing);
        let key = *rng.choice(&open).expect("there is one");
        let is_entered_again = |key: &usize| enclosing.iter().any(|outer| outer.keys.contains(key));
        let way = match any_way(rng, enclosing.is_empty()) {
            // Others would wait for the very call that encloses them.
            _ if is_entered_again(&key) => Way::Run,
            Way::Connection | Way::Transaction if LIMITS.contains(&key) => Way::Run,
            way => way,
        };
        let mut keys = vec![key];
        if LOCKS.contains(&key) && !matches!(way, Way::Connection | Way::Transaction) {
            let others = open
                .into_iter()
                .filter(|other| *other != key && LOCKS.contains(other))
                .filter(|other| way == Way::Run || !is_entered_again(other));
            keys.extend(some_of(rng, others.collect(), way));
        }
        let entered_again = |outer: &&Enclosing| keys.iter().any(|key| outer.keys.contains(key));
        let mut entered_again = enclosing.iter().filter(entered_again).peekable();
        let owns_session = matches!(way, Way::Run | Way::Guard) && entered_again.peek().is_none();
        let mode = match permits(key) {
            Some(permits) => Mode::Permit(permits),
            None if entered_again.any(|outer| outer.mode == Mode::Shared) => Mode::Shared,
            // Attributes have their options written into them: of these there are exclusive ones only.
            None if way == Way::Attribute || rng.u8(..100) < 65 => Mode::Exclusive,
            None => Mode::Shared,
        };
        let is_one_lock = keys.len() == 1 && !LIMITS.contains(&key);
        let xact = owns_session && is_one_lock && rng.u8(..100) < 15;
        let dedicated = owns_session && !xact && rng.u8(..100) < 20;
        let kept_for =
            (owns_session && !xact && rng.u8(..100) < 8).then(|| micros(rng, 5_000..60_000));
        let this = Enclosing {
            keys: keys.clone(),
            mode,
            way,
        };
        Self {
            keys,
            lead: None,
            mode,
            way,
            wait: any_wait(rng, enclosing.is_empty() || order == Order::Ascending),
            xact,
            dedicated,
            kept_for,
            work: any_work(rng),
            inner: Self::inside(rng, door, order, enclosing, this),
            end: match rng.u8(..100) {
                0..88 => End::Return,
                88..95 => End::Fail,
                _ => End::Panic,
            },
            dropped_after: (door != Door::Blocking && rng.u8(..100) < 30).then(|| any_moment(rng)),
        }
    }

    /// A call in the body of that one, now and then.
    fn inside(
        rng: &mut Rng,
        door: Door,
        order: Order,
        enclosing: &mut Vec<Enclosing>,
        this: Enclosing,
    ) -> Option<Box<Self>> {
        let nests = enclosing.len() + 1 < DEPTH && rng.u8(..100) < 35;
        enclosing.push(this);
        let inner = (nests && !open_keys(order, enclosing).is_empty())
            .then(|| Box::new(Self::next(rng, door, order, enclosing)));
        enclosing.pop();
        inner
    }

    /// One that leads, for longer than others have a lock.
    fn leading(rng: &mut Rng, order: Order) -> Self {
        let way = if rng.u8(..100) < 30 {
            Way::Attribute
        } else {
            Way::Run
        };
        let end = match rng.u8(..100) {
            0..45 => End::Return,
            45..60 => End::Fail,
            60..65 => End::Panic,
            _ => End::Never,
        };
        let this = Enclosing {
            keys: vec![LEADERS],
            mode: Mode::Exclusive,
            way,
        };
        let lead = Lead {
            restart: micros(rng, 1_000..50_000),
            restarts_on_error: rng.bool(),
        };
        let is_endless = end == End::Never || end == End::Fail && lead.restarts_on_error;
        Self {
            keys: vec![LEADERS],
            lead: Some(lead),
            mode: Mode::Exclusive,
            way,
            wait: match rng.u8(..100) {
                0..20 if way == Way::Run => Wait::For(micros(rng, 1_000..1_500_000)),
                _ => Wait::Forever,
            },
            xact: false,
            dedicated: way == Way::Run && rng.u8(..100) < 20,
            kept_for: None,
            work: micros(rng, 0..100_000),
            inner: Self::inside(rng, Door::Leading, order, &mut Vec::new(), this),
            end,
            dropped_after: (is_endless || rng.bool()).then(|| micros(rng, 0..5_000_000)),
        }
    }
}

/// What a call may ask for: not what an enclosing guard or connection has, which would be waited for in vain.
fn open_keys(order: Order, enclosing: &[Enclosing]) -> Vec<usize> {
    let is_open = |key: &usize| {
        let outer = enclosing.iter().find(|outer| outer.keys.contains(key));
        match outer {
            Some(outer) => outer.way.is_entered_again(),
            None if *key == LEADERS => false,
            None => {
                let mut held = enclosing.iter().flat_map(|outer| &outer.keys);
                order == Order::Any || held.all(|held| held < key)
            }
        }
    };
    (LEADERS..LIMITS.end).filter(is_open).collect()
}

/// What is taken together with a lock: mostly nothing. Of attributes the number is written into them.
fn some_of(rng: &mut Rng, mut others: Vec<usize>, way: Way) -> Vec<usize> {
    if rng.u8(..100) >= 20 {
        return Vec::new();
    }
    rng.shuffle(&mut others);
    let most = if way == Way::Attribute { 1 } else { 2 };
    others.truncate(rng.usize(1..=most));
    others
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

#[cfg(test)]
mod tests;
