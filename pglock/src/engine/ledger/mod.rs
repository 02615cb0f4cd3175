//! Who has which lock: the arbiter of one database, without IO, clock or runtime.
//!
//! Thousands of callers share a few sessions. What happens is told to the [`Ledger`] as *events* (its methods); what
//! has to be done is read from it as *orders* ([`Ledger::next_order`], [`Ledger::next_batch`]), and what callers are to
//! be told as *effects* ([`Ledger::drain_effects`]). A batch is made up when it is about to be sent, from what is needed
//! then: a request that is withdrawn before costs no statement.
//!
//! A key is free and unknown here until somebody asks for it. Then it has a *wait queue*, at most one operation *in
//! flight*, and the *grants* that sessions of ours have in the server, each with its *holders*. It is *refused* once the
//! server has said that others have it. A key never changes hands without the server: each release is an unlock there,
//! and where others of this process wait, their try follows in the same statement.
//!
//! | event | what follows |
//! | --- | --- |
//! | `ask`, key unknown | a `try` on the active shared session |
//! | `ask`, key held by us or asked for | queued; at once `Deadlock` where that closes a ring; `Busy` where it doesn't wait |
//! | `ask` without waiting, key refused | a `try` for it |
//! | `ask` shared, key held shared by us, nobody else queued | `probe` on the helper session and `confirm` where it is held: both true, it joins; a writer waits elsewhere: it waits in the server |
//! | `ask` for a session of its own | when it is first in the queue, that session asks and waits |
//! | `try` answered true | granted to the head, and the run of shared requests behind it |
//! | `try` answered false | those who don't wait are `Busy`; the head gets a wait session, or is polled |
//! | `release` of one holder of several | `confirm`, so that it too has heard that it was held to its end |
//! | `release` of the last holder | `unlock`; where others are queued, `unlock` and `try` as a pair |
//! | a wait granted | the head and its run hold the lock on that wait session; nobody wants it any more: `unlock` |
//! | `withdraw` of the last who waits | the wait is canceled |
//! | `session_ended` | its holders are `Lost`; who waited there starts again |
//!
//! The files, in the order in which to read them: [`orders`] (all that comes in and goes out), [`state`] (what is
//! remembered), [`callers`] (requests and holds), [`needs`] (what a key needs now), [`settle`] (brings a key up to date
//! after an event), [`batch`] (operations and their answers), [`waits`] and [`wait_sessions`] (waits in the server,
//! polling), [`sessions`], [`ring`] (deadlocks), [`alone`] (what a caller may carry out itself).

mod alone;
mod batch;
mod callers;
mod needs;
mod orders;
mod ring;
mod sessions;
mod settle;
mod state;
#[cfg(test)]
mod tests;
mod wait_sessions;
mod waits;

use std::collections::{HashMap, VecDeque};

use orders::Sent;
use state::caller::Caller;
use state::key::KeyState;
use state::session::{Opening, SessionKind, SessionRecord};
use state::slab::{Id, Slab};
use state::wait::{Wait, Waits};

pub(crate) use orders::{
    Action, Answer, Effect, Enclosing, FailureReason, HeldBy, HeldUpBy, HoldId, LedgerRequest,
    Limits, Op, Order, RequestId, Role, SessionId, WaitAnswer, WaitOrder,
};

use crate::model::lock_id::Key;

/// The state of all keys of one database that this process has to do with.
#[derive(Clone)]
pub(crate) struct Ledger {
    limits: Limits,
    keys: Slab<KeyState>,
    by_key: HashMap<Key, Id>,
    callers: Slab<Caller>,
    sessions: Slab<SessionRecord>,
    /// The shared session that takes new locks; the others drain.
    active: Option<Id>,
    shared: Vec<Id>,
    helper: Option<Id>,
    opening: Opening,
    waits: Waits,
    /// Keys that need a `try` on the active session, and a `probe` on the helper. Some may have changed their mind.
    tries: VecDeque<Id>,
    probes: VecDeque<Id>,
    /// Sessions that can be sent a batch.
    ready: VecDeque<Id>,
    /// Keys that an event has changed.
    changed: Vec<Id>,
    /// Room for the second half of a batch.
    later: Vec<Sent>,
    effects: Vec<Effect>,
    /// Counts asks and sends, so that it can be told which came first.
    time: u64,
    /// Grants, and tries in flight.
    locks: usize,
    /// Markers of waits. They have room in the server's lock table, too.
    markers: usize,
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            keys: Slab::new(),
            by_key: HashMap::new(),
            callers: Slab::new(),
            sessions: Slab::new(),
            active: None,
            shared: Vec::new(),
            helper: None,
            opening: Opening::default(),
            waits: Waits::default(),
            tries: VecDeque::new(),
            probes: VecDeque::new(),
            ready: VecDeque::new(),
            changed: Vec::new(),
            later: Vec::new(),
            effects: Vec::new(),
            time: 0,
            locks: 0,
            markers: 0,
        }
    }

    /// What callers are to be told since the last time.
    pub(crate) fn drain_effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// What is to be done next; to be asked for until there is nothing, after each event.
    pub(crate) fn next_order(&mut self) -> Option<Order> {
        if let Some(order) = self.next_wait_order() {
            return Some(order);
        }
        if let Some(role) = self.next_to_open() {
            return Some(Order::Open(role));
        }
        while let Some(session) = self.ready.pop_front() {
            if let Some(state) = self.sessions.get_mut(session) {
                state.announced = false;
                if self.has_work(session) {
                    return Some(Order::Send(SessionId(session)));
                }
            }
        }
        None
    }

    /// How much of the server's lock table the sessions of this process use: locks and markers.
    pub(crate) fn locks(&self) -> usize {
        self.locks + self.markers
    }

    /// Whether this process may hold one more.
    fn has_room(&self) -> bool {
        self.locks() < self.limits.locks
    }

    /// Whether a marker may be placed; it counts until [`Ledger::markers_dropped`].
    pub(crate) fn reserve_marker(&mut self) -> bool {
        let may = self.has_room();
        self.markers += usize::from(may);
        may
    }

    /// So many markers are no longer there, or will not be placed.
    pub(crate) fn markers_dropped(&mut self, count: usize) {
        self.markers -= count;
    }

    /// Lets this process hold at most `locks` locks.
    pub(crate) fn limit_locks(&mut self, locks: usize) {
        self.limits.locks = locks;
    }

    /// Whether there is a session for new locks, so that who waits now waits for a lock, not for a session.
    pub(crate) fn has_shared_session(&self) -> bool {
        self.active.is_some()
    }

    /// The shared session that takes new locks.
    pub(crate) fn active_session(&self) -> Option<SessionId> {
        self.active.map(SessionId)
    }

    /// Whether a session may be asked to wait in the server, now or later.
    pub(crate) fn may_wait(&self, session: SessionId) -> bool {
        let session = self.sessions.get(session.0);
        session.is_some_and(|session| session.kind == SessionKind::Wait)
    }

    /// Whether a session has not ended, as far as is known here.
    pub(crate) fn has_session(&self, session: SessionId) -> bool {
        self.sessions.get(session.0).is_some()
    }

    /// Whether requests wait for a key of which a session has heard that it is busy, or waits for it.
    pub(crate) fn is_in_line(&self, key: Key) -> bool {
        let key = self.find(key).and_then(|key| self.keys.get(key));
        key.is_some_and(|key| {
            let waits = |wait: &Wait| wait.session.is_some();
            let was_answered = key.refused.is_some() || key.wait.as_ref().is_some_and(waits);
            was_answered && !key.queue.is_empty()
        })
    }

    /// Who waits for a key, in order.
    pub(crate) fn queue(&self, key: Key) -> impl Iterator<Item = RequestId> {
        let key = self.find(key).and_then(|key| self.keys.get(key));
        key.into_iter()
            .flat_map(|key| key.queue.iter(&self.callers).map(RequestId))
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }
}
