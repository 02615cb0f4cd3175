//! What each step of a process does, and what its callers hear of it.

use super::super::*;
use super::process::{Ask, CallerSim, CallerStage, Move, Process, WaitSim, WaitStage, number};
use super::server::Server;

impl Process {
    pub(super) fn make(&mut self, step: Move, server: &mut Server) {
        match step {
            Move::Ask(ask) => self.ask(ask),
            Move::Withdraw(at) => {
                let caller = self.callers.remove(at);
                assert!(
                    self.ledger.withdraw(caller.request).is_some(),
                    "an answer was not told"
                );
            }
            Move::Release(at) => {
                let caller = &mut self.callers[at];
                caller.stage = CallerStage::Releasing;
                self.ledger.release(caller.hold.expect("it is held"));
            }
            Move::Confirm(at) => {
                let caller = &mut self.callers[at];
                caller.confirming = true;
                self.ledger.confirm(caller.hold.expect("it is held"));
            }
            Move::TakeOrder => self.take_order(),
            Move::Send(at) => self.send(at),
            Move::Run(at) => self.run(at, server),
            Move::Deliver(at) => self.deliver(at, server),
            Move::Break(at, fails) => {
                let session = &mut self.sessions[at];
                if fails {
                    session.ran.push(Answer::Failed);
                }
                session.ran.resize(session.batch.len(), Answer::NotRun);
            }
            Move::Kill(at) => {
                server.kill(self.sessions[at].backend);
                self.sessions[at].is_dead = true;
            }
            Move::Notice(at, ask_again) => {
                let session = self.sessions.remove(at);
                self.waits.retain(|wait| wait.session != Some(session.id));
                self.ledger.session_ended(session.id, ask_again);
            }
            Move::Opened(at) => {
                let id = self.ledger.session_opened(self.opening.remove(at));
                self.connect(id, false);
            }
            Move::OpenFailed(at) => self
                .ledger
                .open_failed(self.opening.remove(at), std::iter::empty()),
            Move::WaitBegin(at) => self.begin_wait(at, server),
            Move::WaitNoSession(at) => self.end_wait(at, WaitAnswer::NoSession, server),
            Move::WaitCancel(at) => self.cancel_wait(at, server),
            Move::WaitDeliver(at) => {
                let wait = &self.waits[at];
                let answer = match wait.stage {
                    WaitStage::Answered(false) if wait.order.no_wait => WaitAnswer::Busy,
                    WaitStage::Answered(false) => WaitAnswer::Canceled,
                    WaitStage::Answered(true) | WaitStage::InServer | WaitStage::Ordered => {
                        WaitAnswer::Granted
                    }
                };
                self.end_wait(at, answer, server);
            }
            Move::WaitBreak(at, answer) => {
                if server.cancel(self.backend(&self.waits[at])) {
                    self.end_wait(at, answer, server);
                }
            }
            Move::Timer(at) => {
                let (key, timer) = self.timers.remove(at);
                self.ledger.poll(Key::Big(key), timer);
            }
            Move::RetryWaits => self.ledger.retry_wait_sessions(),
            Move::CloseIdle(at) => {
                let session = &self.sessions[at];
                if session.batch.is_empty() && self.ledger.close_idle(session.id) {
                    assert!(server.keys(session.backend).is_empty(), "closed with locks");
                    self.sessions.remove(at);
                }
            }
        }
        self.hear(matches!(step, Move::WaitBreak(_, WaitAnswer::Deadlock)));
    }

    fn ask(&mut self, ask: Ask) {
        let mut enclosing = Vec::new();
        if let Some(outer) = ask.inside.and_then(|at| self.callers.get(at)) {
            enclosing.extend(outer.hold);
            enclosing.extend(&outer.enclosing);
        }
        let request = self.ledger.ask(LedgerRequest {
            key: Key::Big(ask.key),
            mode: ask.mode,
            no_wait: ask.no_wait,
            own_session: ask.own_session,
            enclosing: &enclosing,
            holds_elsewhere: false,
        });
        self.asked += 1;
        self.callers.push(CallerSim {
            request,
            hold: None,
            ask,
            enclosing,
            order: self.asked,
            stage: CallerStage::Waiting,
            session: None,
            confirming: false,
        });
    }

    pub(super) fn take_orders(&mut self) {
        while let Some(order) = self.ledger.next_order() {
            self.take(order);
        }
    }

    fn take_order(&mut self) {
        if let Some(order) = self.ledger.next_order() {
            self.take(order);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Open(role) => self.opening.push(role),
            Order::Send(id) => {
                let mut sessions = self.sessions.iter_mut();
                let session = sessions.find(|session| session.id == id);
                session.expect("orders are for open sessions").sendable = true;
            }
            Order::Wait(order) => {
                assert!(
                    self.waits.iter().all(|wait| wait.order.key != order.key),
                    "two waits for a key"
                );
                if let Some(session) = order.session {
                    assert!(
                        self.waits.iter().all(|wait| wait.session != Some(session)),
                        "two waits on a session"
                    );
                    assert!(
                        self.session(session).batch.is_empty(),
                        "a wait behind a batch"
                    );
                }
                self.waits.push(WaitSim {
                    order,
                    session: order.session,
                    stage: WaitStage::Ordered,
                    cancel: false,
                });
            }
            Order::CancelWait(key) => {
                let wait = self.waits.iter_mut().find(|wait| wait.order.key == key);
                wait.expect("what is canceled was ordered").cancel = true;
            }
        }
    }

    fn send(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.sendable = false;
        let mut ops = Vec::new();
        self.ledger.next_batch(session.id, 4, &mut ops);
        assert!(ops.len() <= 4);
        self.sent.extend(&ops);
        self.sessions[at].batch = ops;
        self.check_batch(at);
    }

    fn run(&mut self, at: usize, server: &mut Server) {
        let session = &mut self.sessions[at];
        let Op { key, action } = session.batch[session.ran.len()];
        let (backend, key) = (session.backend, number(key));
        let yes = match action {
            Action::Unlock(mode) => server.unlock(backend, key, mode),
            Action::Try(mode) => server.try_lock(backend, key, mode),
            Action::Confirm => true,
            Action::ProbeShared => server.probe(backend, key),
        };
        if matches!(action, Action::Unlock(_)) {
            assert!(yes, "unlocked what it didn't have: {key}");
        }
        self.was_refused |= !yes;
        session.ran.push(if yes { Answer::Yes } else { Answer::No });
    }

    fn deliver(&mut self, at: usize, server: &Server) {
        let session = &mut self.sessions[at];
        let (id, nth) = (session.id, session.delivered);
        let answer = session.ran[nth];
        session.delivered += 1;
        if session.delivered == session.batch.len() {
            session.delivered = 0;
            session.batch.clear();
            session.ran.clear();
        }
        self.ledger.answer(id, nth, answer);
        self.close_own(at, server);
    }

    fn close_own(&mut self, at: usize, server: &Server) {
        let session = &self.sessions[at];
        if session.own && session.batch.is_empty() && server.keys(session.backend).is_empty() {
            self.sessions.remove(at);
        }
    }

    fn begin_wait(&mut self, at: usize, server: &mut Server) {
        let WaitOrder {
            key,
            mode,
            own,
            no_wait,
            ..
        } = self.waits[at].order;
        if self.waits[at].session.is_none() {
            let id = self.ledger.wait_opened(key).expect("the wait was ordered");
            self.connect(id, own.is_some());
            self.waits[at].session = Some(id);
        }
        let backend = self.backend(&self.waits[at]);
        self.waits[at].stage = if no_wait {
            WaitStage::Answered(server.try_lock(backend, number(key), mode))
        } else {
            server.wait(backend, number(key), mode);
            WaitStage::InServer
        };
        let is_refused = self.waits[at].stage == WaitStage::Answered(false);
        self.was_refused |= is_refused || server.is_waiting(backend);
    }

    fn cancel_wait(&mut self, at: usize, server: &mut Server) {
        match self.waits[at].stage {
            WaitStage::Ordered => self.end_wait(at, WaitAnswer::Canceled, server),
            WaitStage::InServer => {
                let canceled = server.cancel(self.backend(&self.waits[at]));
                self.waits[at].stage = WaitStage::Answered(!canceled);
            }
            WaitStage::Answered(_) => {}
        }
    }

    fn end_wait(&mut self, at: usize, answer: WaitAnswer, server: &Server) {
        let wait = self.waits.remove(at);
        self.ledger.wait_answered(wait.order.key, answer);
        let session = self
            .sessions
            .iter()
            .position(|session| Some(session.id) == wait.session);
        if let Some(session) = session {
            self.close_own(session, server);
        }
    }

    /// Tells the callers.
    fn hear(&mut self, server_saw_deadlock: bool) {
        let effects: Vec<_> = self.ledger.drain_effects().collect();
        self.told.extend(&effects);
        for effect in effects {
            match effect {
                Effect::Granted {
                    request,
                    hold,
                    session,
                } => {
                    let caller = self.answered(request);
                    assert_eq!(
                        self.callers[caller].stage,
                        CallerStage::Waiting,
                        "answered twice"
                    );
                    let caller = &mut self.callers[caller];
                    caller.stage = CallerStage::Held;
                    caller.hold = Some(hold);
                    caller.session = Some(session);
                    let caller = caller.clone();
                    self.granted.push(caller);
                }
                Effect::Deadlock { request } => {
                    let caller = self.answered(request);
                    let is_ring = server_saw_deadlock || self.closes_ring(caller, false);
                    assert!(is_ring, "a deadlock that is none");
                    self.callers.remove(caller);
                }
                Effect::Busy { request, .. } => {
                    let caller = self.answered(request);
                    let caller = self.callers.remove(caller);
                    assert!(caller.ask.no_wait, "busy though it waits");
                }
                Effect::Failed { request, .. } => {
                    let caller = self.answered(request);
                    self.callers.remove(caller);
                }
                Effect::Released { hold, was_held } => {
                    let caller = self.callers.remove(self.holder(hold));
                    assert_eq!(caller.stage, CallerStage::Releasing);
                    assert!(was_held, "released what was not held");
                }
                Effect::Confirmed { hold } => {
                    let caller = self.holder(hold);
                    assert!(std::mem::take(&mut self.callers[caller].confirming));
                }
                Effect::Lost { hold } => {
                    let caller = self.callers.remove(self.holder(hold));
                    assert_ne!(caller.stage, CallerStage::Waiting);
                }
                Effect::Poll { key, timer, .. } => self.timers.push((number(key), timer)),
            }
        }
    }

    fn answered(&self, request: RequestId) -> usize {
        let caller = self
            .callers
            .iter()
            .position(|caller| caller.request == request && caller.stage == CallerStage::Waiting);
        caller.expect("an answer to a request that waits")
    }

    fn holder(&self, hold: HoldId) -> usize {
        let caller = self
            .callers
            .iter()
            .position(|caller| caller.hold == Some(hold));
        caller.expect("an answer to a holder")
    }
}
