//! A process and another program on one server, to try single rules on.

use super::super::*;
use super::process::{Ask, CallerStage, Move, Process};
use super::server::Server;
use crate::model::options::AdvisoryMode;

/// A process whose IO half does at once what it is told to do, and another program on the same server.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) process: Process,
}

pub(super) const OTHER: u32 = 7;

impl Scene {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            server: Server::default(),
            process: Process::new(limits, 100),
        }
    }

    pub(super) fn make(&mut self, step: Move) {
        self.process.make(step, &mut self.server);
        self.process.take_orders();
        self.process.check(&self.server);
    }

    /// Does all that can be done.
    pub(super) fn settle(&mut self) {
        while let Some(step) = self.process.inner_moves(&self.server).first().copied() {
            self.make(step);
        }
        self.process.check_quiet(&self.server);
    }

    pub(super) fn ask(&mut self, ask: Ask) -> RequestId {
        self.make(Move::Ask(ask));
        let callers = self.process.callers.last().map(|caller| caller.request);
        callers.expect("it waits, or holds")
    }

    /// Asks, and does all that can be done then.
    pub(super) fn asked(&mut self, asked: Ask) -> RequestId {
        let request = self.ask(asked);
        self.settle();
        request
    }

    pub(super) fn place(&self, request: RequestId) -> usize {
        let mut callers = self.process.callers.iter();
        callers
            .position(|caller| caller.request == request)
            .expect("it was not answered, or holds")
    }

    pub(super) fn holds(&self, request: RequestId) -> bool {
        let mut callers = self.process.callers.iter();
        callers.any(|caller| caller.request == request && caller.stage == CallerStage::Held)
    }

    pub(super) fn release(&mut self, request: RequestId) {
        self.make(Move::Release(self.place(request)));
    }

    pub(super) fn session_of(&self, request: RequestId) -> SessionId {
        self.process.callers[self.place(request)]
            .session
            .expect("it holds")
    }

    pub(super) fn backend_of(&self, request: RequestId) -> u32 {
        self.process.session(self.session_of(request)).backend
    }

    /// What was sent since the last time, without the keys.
    pub(super) fn sent(&mut self) -> Vec<Action> {
        self.process.sent.drain(..).map(|op| op.action).collect()
    }

    pub(super) fn last_told(&self) -> Effect {
        *self.process.told.last().expect("something was told")
    }

    pub(super) fn ask_around(&mut self, outer: RequestId, asked: Ask) -> RequestId {
        let inside = Some(self.place(outer));
        self.asked(Ask { inside, ..asked })
    }
}

pub(super) fn ask(key: i64, mode: AdvisoryMode) -> Ask {
    Ask {
        key,
        mode,
        no_wait: false,
        own_session: false,
        inside: None,
    }
}

pub(super) fn tries(key: i64, mode: AdvisoryMode) -> Ask {
    Ask {
        no_wait: true,
        ..ask(key, mode)
    }
}

pub(super) fn scene() -> Scene {
    Scene::new(Limits::default())
}

pub(super) fn small() -> Scene {
    Scene::new(Limits {
        drain_above: 2,
        session_locks: 3,
        reuse_below: 1,
        locks: 6,
        wait_sessions: 1,
        nested_wait_sessions: 2,
    })
}
