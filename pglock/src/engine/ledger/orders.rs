//! The words between the ledger and those who carry out its orders: events, orders, effects.

use super::state::slab::Id;
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;
pub(crate) use crate::sql::shared::batch::Action;

/// Names a request until it is answered. A granted one becomes a [`HoldId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestId(pub(super) Id);

/// Names a granted lock until it is released or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(pub(super) Id);

/// Names a session for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(super) Id);

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LedgerRequest<'a> {
    pub(crate) key: Key,
    pub(crate) mode: AdvisoryMode,
    /// Whether the answer is `Busy` where it would have to wait.
    pub(crate) no_wait: bool,
    /// Whether the lock is to be on a session that it shares with no other (`xact`, `dedicated`).
    pub(crate) own_session: bool,
    /// The holds of the calls around the one that asks. They stay held while it waits.
    pub(crate) enclosing: &'a [HoldId],
    /// Whether these calls hold others that another ledger knows.
    pub(crate) holds_elsewhere: bool,
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
        why: FailureReason,
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

impl Effect {
    /// The request that it answers.
    pub(crate) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Granted { request, .. }
            | Self::Busy { request, .. }
            | Self::Deadlock { request }
            | Self::Failed { request, .. } => Some(*request),
            Self::Released { .. }
            | Self::Confirmed { .. }
            | Self::Lost { .. }
            | Self::Poll { .. } => None,
        }
    }
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
pub(crate) enum FailureReason {
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
    pub(crate) key: Key,
    /// As the server knows it.
    pub(crate) mode: AdvisoryMode,
    pub(crate) session: SessionId,
}

/// What a key's requests depend on when it is asked what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldUpBy {
    /// A wait in the server: all of them.
    Wait,
    /// The callers that hold the key: those that can't join them.
    Holders,
}

/// What is held up while requests wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldUp {
    /// The locks that callers hold who wait for the key, and those who wait for these in turn.
    pub(crate) locks: Vec<Enclosing>,
    /// Those of these callers that hold others, which another ledger knows.
    pub(crate) holding_elsewhere: Vec<RequestId>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// With more locks than this on the only shared session another one is opened; with more sessions, later.
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

/// An operation that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) key: Id,
    pub(super) action: Action,
    pub(super) answered: bool,
}

impl Sent {
    pub(super) fn new(key: Id, action: Action) -> Self {
        Self {
            key,
            action,
            answered: false,
        }
    }
}
