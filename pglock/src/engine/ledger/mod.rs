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
//! The files, in the order in which to read them: [`callers`] (requests and holds), [`key`] (the state of a key, and what
//! it needs now), [`settle`] (brings a key up to date after an event), [`batch`] (operations and their answers),
//! [`waits`] and [`wait_sessions`] (waits in the server, polling), [`sessions`], [`ring`] (deadlocks).

mod batch;
mod callers;
mod key;
mod list;
mod ring;
mod sessions;
mod settle;
mod slab;
#[cfg(test)]
mod tests;
mod wait_sessions;
mod waits;

use std::collections::{HashMap, VecDeque};

use batch::Sent;
use callers::Caller;
use key::KeyState;
use sessions::{Opening, Session};
use slab::{Id, Slab};
use wait_sessions::Waits;

use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

/// Names a request until it is answered. A granted one becomes a [`HoldId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(Id);

/// Names a granted lock until it is released or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(Id);

/// Names a session for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(Id);

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) key: Key,
    pub(crate) mode: AdvisoryMode,
    /// Whether the answer is `Busy` where it would have to wait.
    pub(crate) no_wait: bool,
    /// Whether the lock is to be on a session that it shares with no other (`xact`, `dedicated`).
    pub(crate) own_session: bool,
    /// The holds of the calls around the one that asks. They stay held while it waits.
    pub(crate) enclosing: &'a [HoldId],
}

/// What a caller is to be told. Each request gets one of the first four, or is withdrawn before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Granted {
        request: RequestId,
        hold: HoldId,
        session: SessionId,
    },
    Busy {
        request: RequestId,
        held_by: HeldBy,
    },
    /// It would wait for itself, through other callers of this process.
    Deadlock {
        request: RequestId,
    },
    Failed {
        request: RequestId,
        why: Failure,
    },
    /// A release was answered; `was_held` says whether the lock was held until then.
    Released {
        hold: HoldId,
        was_held: bool,
    },
    /// A hold was confirmed by an answer to a statement that was sent after [`Ledger::confirm`].
    Confirmed {
        hold: HoldId,
    },
    /// Its session ended while it was held or being released.
    Lost {
        hold: HoldId,
    },
    /// [`Ledger::poll`] is to be called with these two, after a delay that grows with the attempt.
    Poll {
        key: Key,
        timer: u64,
        attempt: u32,
    },
}

/// Who has a lock that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// A caller of this process.
    Ourselves,
    /// Another process, as the server said.
    Elsewhere,
    /// The server has not answered yet.
    Unknown,
}

/// Why a request failed. The error itself is known to the caller of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The session that was needed could not be opened.
    NoSession,
    /// The session ended before it had answered.
    SessionEnded,
    /// The server answered with an error.
    Refused,
    /// It would fill more of the server's lock table than is allowed.
    LockTableFull,
    /// It holds locks, so that it must wait in the server, and all sessions for that are taken.
    NoWaitSession,
}

/// What is to be done outside of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Open a session: [`Ledger::session_opened`] or [`Ledger::open_failed`] answers it.
    Open(Role),
    /// Send a batch to an idle session: [`Ledger::next_batch`].
    Send(SessionId),
    /// Wait for a lock in the server: [`Ledger::wait_answered`] answers it.
    Wait(WaitOrder),
    /// Cancel the wait for a key. It is answered all the same.
    CancelWait(Key),
}

/// What a session that is opened for nobody in particular is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Carries the locks of many callers, and never waits.
    Shared,
    /// Holds no locks. Asks what the sessions that do can't ask.
    Helper,
}

/// A statement that may block in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitOrder {
    pub(crate) key: Key,
    pub(crate) mode: AdvisoryMode,
    /// Where to wait. `None`: on a session that is opened for it, and told by [`Ledger::wait_opened`].
    pub(crate) session: Option<SessionId>,
    /// The request whose own session this is to be.
    pub(crate) own: Option<RequestId>,
    /// Whether to try only; of requests with a session of their own.
    pub(crate) no_wait: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitAnswer {
    Granted,
    /// It was to be tried only, and is busy.
    Busy,
    /// By us or by somebody else; the lock is not held.
    Canceled,
    /// The server found a deadlock, and gave this wait up.
    Deadlock,
    /// The server answered with another error; the lock is not held.
    Failed,
    /// No session could be opened for it.
    NoSession,
}

/// An operation of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) key: Key,
    pub(crate) action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Unlock(AdvisoryMode),
    Try(AdvisoryMode),
    /// Is the session still there? Always answered with yes, or not at all.
    Confirm,
    /// Would a session that doesn't hold it get it shared? Leaves nothing behind.
    ProbeShared,
}

/// The answer to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// The statement ended before it.
    NotRun,
    /// It failed, and left nothing behind.
    Failed,
}

/// A lock that a caller holds while it waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enclosing {
    /// Who waits.
    pub(crate) request: RequestId,
    pub(crate) hold: HoldId,
    pub(crate) key: Key,
    /// As the server knows it.
    pub(crate) mode: AdvisoryMode,
    pub(crate) session: SessionId,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// With more locks than this on the active shared session another one is opened.
    pub(crate) drain_above: usize,
    /// A shared session never holds more.
    pub(crate) session_locks: usize,
    /// A draining session with fewer may become the active one again.
    pub(crate) reuse_below: usize,
    /// All locks of this process.
    pub(crate) locks: usize,
    /// Wait sessions, including those that hold what they waited for.
    pub(crate) wait_sessions: usize,
    /// The same, where callers that hold locks need more: these can't be polled.
    pub(crate) nested_wait_sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain_above: 2_048,
            session_locks: 8_192,
            reuse_below: 512,
            locks: 6_400,
            wait_sessions: 4,
            nested_wait_sessions: 32,
        }
    }
}

/// The state of all keys of one database that this process has to do with.
#[derive(Clone)]
pub(crate) struct Ledger {
    limits: Limits,
    keys: Slab<KeyState>,
    by_key: HashMap<Key, Id>,
    callers: Slab<Caller>,
    sessions: Slab<Session>,
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

    /// How many locks the sessions of this process hold.
    pub(crate) fn locks(&self) -> usize {
        self.locks
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }
}
