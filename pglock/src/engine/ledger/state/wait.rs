//! The state of waits in the server, and of polls.

use std::collections::VecDeque;

use super::slab::Id;
use crate::model::options::AdvisoryMode;

/// A wait for a key in the server.
#[derive(Clone)]
pub(in crate::engine::ledger) struct Wait {
    pub(in crate::engine::ledger) mode: AdvisoryMode,
    /// The request whose own session it is on.
    pub(in crate::engine::ledger) own: Option<Id>,
    pub(in crate::engine::ledger) session: Option<Id>,
    pub(in crate::engine::ledger) phase: WaitPhase,
    /// The request whose enclosing locks are on the same session.
    pub(in crate::engine::ledger) nested: Option<Id>,
    /// Whether its session is needed for something else, so that it has to be canceled in any case.
    pub(in crate::engine::ledger) interrupted: bool,
    /// Whether that is another wait.
    pub(in crate::engine::ledger) evicted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::ledger) enum WaitPhase {
    /// Not read from the ledger yet.
    Ordered,
    Sent,
    /// To be canceled; that is not read yet.
    Ending,
    Canceled,
}

impl Wait {
    pub(in crate::engine::ledger) fn new(mode: AdvisoryMode) -> Self {
        Self {
            mode,
            own: None,
            session: None,
            phase: WaitPhase::Ordered,
            nested: None,
            interrupted: false,
            evicted: false,
        }
    }

    pub(in crate::engine::ledger) fn own(caller: Id, mode: AdvisoryMode) -> Self {
        Self {
            own: Some(caller),
            ..Self::new(mode)
        }
    }

    pub(in crate::engine::ledger) fn on(self, session: Option<Id>) -> Self {
        Self { session, ..self }
    }

    /// On the session that has the locks around a request.
    pub(in crate::engine::ledger) fn of_enclosing(self, request: Id) -> Self {
        Self {
            nested: Some(request),
            ..self
        }
    }

    pub(in crate::engine::ledger) fn is_sent(&self) -> bool {
        self.phase != WaitPhase::Ordered
    }

    /// Whether others have the lock, as far as is known. A wait that is being canceled says nothing of those who ask now.
    pub(in crate::engine::ledger) fn goes_on(&self) -> bool {
        self.phase == WaitPhase::Sent
    }

    /// Whether it gets what another one would get.
    pub(in crate::engine::ledger) fn serves(&self, wanted: &Wait) -> bool {
        self.own == wanted.own
            && (self.mode == AdvisoryMode::Exclusive || wanted.mode == AdvisoryMode::Shared)
    }
}

/// When a key is tried again that is not waited for in the server.
#[derive(Clone, Copy, Default)]
pub(in crate::engine::ledger) struct Poll {
    pub(in crate::engine::ledger) timer: Option<u64>,
    pub(in crate::engine::ledger) attempt: u32,
    pub(in crate::engine::ledger) due: bool,
}

#[derive(Clone, Default)]
pub(in crate::engine::ledger) struct Waits {
    /// Wait sessions: those that wait, those that hold what they waited for, and those that are being opened.
    pub(in crate::engine::ledger) sessions: usize,
    pub(in crate::engine::ledger) idle: Vec<Id>,
    /// Polled keys that would rather have a wait session, the longest polled first.
    pub(in crate::engine::ledger) line: VecDeque<Id>,
    /// Keys for whose nested callers a wait is being canceled. They come first.
    pub(in crate::engine::ledger) nested_line: VecDeque<Id>,
    /// Keys that are waited for on wait sessions.
    pub(in crate::engine::ledger) active: Vec<Id>,
    pub(in crate::engine::ledger) orders: VecDeque<Id>,
    pub(in crate::engine::ledger) cancels: VecDeque<Id>,
    /// Waits that are being canceled to make room.
    pub(in crate::engine::ledger) evictions: usize,
    /// Whether no more sessions can be opened for now.
    pub(in crate::engine::ledger) exhausted: bool,
}

impl Waits {
    /// Whether keys line up for a wait session.
    pub(in crate::engine::ledger) fn has_line(&self) -> bool {
        !self.line.is_empty() || !self.nested_line.is_empty()
    }
}
