//! A process: a ledger, and an IO half that may take each of its steps at any moment.

use super::super::*;
use super::server::{Backend, Server};
use crate::model::options::AdvisoryMode;

#[derive(Clone)]
pub(super) struct Process {
    pub(super) ledger: Ledger,
    /// The first of its backends; those of processes differ.
    pub(super) base: Backend,
    pub(super) opened: u32,
    pub(super) asked: u64,
    pub(super) callers: Vec<CallerSim>,
    pub(super) sessions: Vec<SessionSim>,
    pub(super) waits: Vec<WaitSim>,
    pub(super) opening: Vec<Role>,
    pub(super) timers: Vec<(i64, u64)>,
    /// All that callers were told.
    pub(super) told: Vec<Effect>,
    /// All that was sent.
    pub(super) sent: Vec<Op>,
    /// Who was granted something since the last check.
    pub(super) granted: Vec<CallerSim>,
    /// Whether the server has ever refused it a lock, or let it wait.
    pub(super) was_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CallerStage {
    Waiting,
    Held,
    Releasing,
}

#[derive(Clone, Debug)]
pub(super) struct CallerSim {
    pub(super) request: RequestId,
    pub(super) hold: Option<HoldId>,
    pub(super) ask: Ask,
    pub(super) enclosing: Vec<HoldId>,
    pub(super) order: u64,
    pub(super) stage: CallerStage,
    pub(super) session: Option<SessionId>,
    pub(super) confirming: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    pub(super) key: i64,
    pub(super) mode: AdvisoryMode,
    pub(super) no_wait: bool,
    pub(super) own_session: bool,
    /// The caller whose hold is around it.
    pub(super) inside: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct SessionSim {
    pub(super) id: SessionId,
    pub(super) backend: Backend,
    pub(super) own: bool,
    pub(super) sendable: bool,
    pub(super) batch: Vec<Op>,
    pub(super) ran: Vec<Answer>,
    pub(super) delivered: usize,
    pub(super) is_dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WaitStage {
    Ordered,
    InServer,
    Answered(bool),
}

#[derive(Clone, Debug)]
pub(super) struct WaitSim {
    pub(super) order: WaitOrder,
    pub(super) session: Option<SessionId>,
    pub(super) stage: WaitStage,
    pub(super) cancel: bool,
}

/// A step of a process. Numbers are indexes of what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Ask(Ask),
    Withdraw(usize),
    Release(usize),
    Confirm(usize),
    TakeOrder,
    Send(usize),
    Run(usize),
    Deliver(usize),
    /// The next operation fails, or nothing of the rest is run.
    Break(usize, bool),
    Kill(usize),
    /// The process sees that a session has died.
    Notice(usize, bool),
    Opened(usize),
    OpenFailed(usize),
    WaitBegin(usize),
    WaitNoSession(usize),
    WaitCancel(usize),
    WaitDeliver(usize),
    /// The server ends a wait with an error.
    WaitBreak(usize, WaitAnswer),
    Timer(usize),
    RetryWaits,
    CloseIdle(usize),
}

pub(super) fn number(key: Key) -> i64 {
    match key {
        Key::Big(key) => key,
        Key::Pair(..) => unreachable!("the model has none"),
    }
}

impl Process {
    pub(super) fn new(limits: Limits, base: Backend) -> Self {
        Self {
            ledger: Ledger::new(limits),
            base,
            opened: 0,
            asked: 0,
            callers: Vec::new(),
            sessions: Vec::new(),
            waits: Vec::new(),
            opening: Vec::new(),
            timers: Vec::new(),
            told: Vec::new(),
            sent: Vec::new(),
            granted: Vec::new(),
            was_refused: false,
        }
    }

    /// All that its IO half can do, or that happens to it without faults.
    pub(super) fn inner_moves(&self, server: &Server) -> Vec<Move> {
        let mut moves = vec![];
        for (at, session) in self.sessions.iter().enumerate() {
            if session.is_dead {
                moves.push(Move::Notice(at, false));
                continue;
            }
            if session.sendable && session.batch.is_empty() {
                moves.push(Move::Send(at));
            }
            if session.ran.len() < session.batch.len() {
                moves.push(Move::Run(at));
            }
            if session.delivered < session.ran.len() {
                moves.push(Move::Deliver(at));
            }
        }
        moves.extend((0..self.opening.len()).map(Move::Opened));
        for (at, wait) in self.waits.iter().enumerate() {
            if self.is_dead(wait.session) {
                continue;
            }
            match wait.stage {
                WaitStage::Ordered => moves.push(Move::WaitBegin(at)),
                WaitStage::InServer if server.is_waiting(self.backend(wait)) => {}
                WaitStage::InServer | WaitStage::Answered(_) => moves.push(Move::WaitDeliver(at)),
            }
            if wait.cancel && !matches!(wait.stage, WaitStage::Answered(_)) {
                moves.push(Move::WaitCancel(at));
            }
        }
        moves
    }

    /// What goes wrong.
    pub(super) fn faults(&self) -> Vec<Move> {
        let mut moves = vec![Move::RetryWaits];
        for (at, session) in self.sessions.iter().enumerate() {
            if session.is_dead {
                moves.push(Move::Notice(at, true));
                continue;
            }
            moves.extend([Move::Kill(at), Move::CloseIdle(at)]);
            if session.ran.len() < session.batch.len() {
                moves.extend([Move::Break(at, true), Move::Break(at, false)]);
            }
        }
        moves.extend((0..self.opening.len()).map(Move::OpenFailed));
        for (at, wait) in self.waits.iter().enumerate() {
            match (wait.stage, wait.session) {
                (WaitStage::Ordered, None) => moves.push(Move::WaitNoSession(at)),
                (WaitStage::InServer, _) => {
                    let answers = [
                        WaitAnswer::Canceled,
                        WaitAnswer::Deadlock,
                        WaitAnswer::Failed,
                    ];
                    moves.extend(answers.map(|answer| Move::WaitBreak(at, answer)));
                }
                _ => {}
            }
        }
        moves
    }

    fn is_dead(&self, session: Option<SessionId>) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|one| Some(one.id) == session && one.is_dead)
    }

    pub(super) fn session(&self, id: SessionId) -> &SessionSim {
        let mut sessions = self.sessions.iter();
        sessions
            .find(|session| session.id == id)
            .expect("the session is open")
    }

    pub(super) fn backend(&self, wait: &WaitSim) -> Backend {
        self.session(wait.session.expect("it has begun")).backend
    }

    pub(super) fn connect(&mut self, id: SessionId, own: bool) {
        self.opened += 1;
        self.sessions.push(SessionSim {
            id,
            backend: self.base + self.opened,
            own,
            sendable: false,
            batch: Vec::new(),
            ran: Vec::new(),
            delivered: 0,
            is_dead: false,
        });
    }
}
