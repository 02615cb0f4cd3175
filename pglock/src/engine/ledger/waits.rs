//! A wait for a key in the server, from its order to its answer.

use super::Ledger;
use super::orders::{
    Effect, FailureReason, HeldBy, Order, RequestId, SessionId, WaitAnswer, WaitOrder,
};
use super::state::session::SessionKind;
use super::state::slab::Id;
use super::state::wait::{Poll, Wait, WaitPhase};
use crate::model::lock_id::Key;

impl Ledger {
    /// The session that was opened for a wait.
    pub(crate) fn wait_opened(&mut self, key: Key) -> Option<SessionId> {
        let key = self.find(key)?;
        let wait = self.keys[key].wait.as_ref()?;
        if wait.session.is_some() || !wait.is_sent() {
            return None;
        }
        let kind = match wait.own {
            Some(_) => SessionKind::Own,
            None => SessionKind::Wait,
        };
        let session = self.add_session(kind);
        self.sessions[session].waiting = Some(key);
        if let Some(wait) = &mut self.keys[key].wait {
            wait.session = Some(session);
        }
        Some(SessionId(session))
    }

    /// A wait has ended. A session of its own that holds nothing then is not known any more.
    pub(crate) fn wait_answered(&mut self, key: Key, answer: WaitAnswer) {
        let Some(key) = self.find(key) else {
            return;
        };
        let is_sent = |wait: &Wait| wait.is_sent();
        if !self.keys[key].wait.as_ref().is_some_and(is_sent) {
            return;
        }
        let Some(wait) = self.detach_wait(key) else {
            return;
        };
        let own = wait.own.filter(|caller| self.is_waiting(*caller));
        if answer != WaitAnswer::NoSession {
            // What others have will be seen by the next try.
            self.keys[key].refused = None;
        }
        match (answer, wait.session) {
            (WaitAnswer::Granted, Some(session)) => {
                self.add_grant(key, session, wait.mode, 0);
                match (wait.own, own) {
                    (Some(_), Some(caller)) => self.grant_to(caller, session),
                    (Some(_), None) => {}
                    (None, _) => self.hand_out(key, session, u64::MAX),
                }
            }
            (WaitAnswer::Granted | WaitAnswer::Canceled, _) => {}
            (WaitAnswer::Busy, _) => {
                if let Some(caller) = own.filter(|caller| self.callers[*caller].no_wait) {
                    self.busy(caller, HeldBy::Elsewhere);
                }
            }
            (WaitAnswer::Deadlock, _) => {
                let nested = wait.nested.filter(|caller| self.is_waiting(*caller));
                if let Some(caller) = own.or(nested) {
                    self.finish(caller, |request| Effect::Deadlock { request });
                }
            }
            (WaitAnswer::Failed, _) => self.fail_waiting(key, &wait, own, FailureReason::Refused),
            (WaitAnswer::NoSession, _) => match wait.own {
                Some(_) => self.fail_waiting(key, &wait, own, FailureReason::NoSession),
                None => self.waits.exhausted = true,
            },
        }
        self.wait_is_over(&wait);
        self.settle();
    }

    fn fail_waiting(&mut self, key: Id, wait: &Wait, own: Option<Id>, why: FailureReason) {
        let head = match wait.own {
            Some(_) => own,
            None => self.keys[key].queue.head(),
        };
        if let Some(caller) = head {
            self.finish(caller, |request| Effect::Failed { request, why });
        }
    }

    /// After a wait session could not be opened none is ordered until this.
    pub(crate) fn retry_wait_sessions(&mut self) {
        self.waits.exhausted = false;
        self.serve_line();
        self.settle();
    }

    /// The time of [`Effect::Poll`] has come.
    pub(crate) fn poll(&mut self, key: Key, timer: u64) {
        let Some(key) = self.find(key) else {
            return;
        };
        if self.keys[key].poll.timer != Some(timer) {
            return;
        }
        let is_held_shared = self.joinable(key).is_some();
        let state = &mut self.keys[key];
        state.poll.timer = None;
        state.poll.attempt += 1;
        if is_held_shared {
            // A session that holds it shared overtakes writers that wait: it is probed again instead.
            state.refused = None;
        } else {
            state.poll.due = true;
        }
        self.changed.push(key);
        self.settle();
    }

    pub(super) fn next_wait_order(&mut self) -> Option<Order> {
        while let Some(key) = self.waits.cancels.pop_front() {
            if let Some(state) = self.keys.get_mut(key)
                && let Some(wait) = &mut state.wait
                && wait.phase == WaitPhase::Ending
            {
                wait.phase = WaitPhase::Canceled;
                return Some(Order::CancelWait(state.key));
            }
        }
        while let Some(key) = self.waits.orders.pop_front() {
            if let Some(state) = self.keys.get_mut(key)
                && let Some(wait) = &mut state.wait
                && wait.phase == WaitPhase::Ordered
            {
                wait.phase = WaitPhase::Sent;
                return Some(Order::Wait(WaitOrder {
                    key: state.key,
                    mode: wait.mode,
                    session: wait.session.map(SessionId),
                    own: wait.own.map(RequestId),
                    no_wait: wait.own.is_some_and(|own| self.callers[own].no_wait),
                }));
            }
        }
        None
    }

    pub(super) fn begin_wait(&mut self, key: Id, wait: Wait) {
        if let Some(session) = wait.session {
            self.sessions[session].waiting = Some(key);
        }
        if wait.own.is_none() {
            self.waits.active.push(key);
        }
        let state = &mut self.keys[key];
        state.poll = Poll::default();
        state.wait = Some(wait);
        self.waits.orders.push_back(key);
    }

    /// The wait is what is needed, and goes on.
    pub(super) fn keep_wait(&mut self, key: Id) {
        if let Some(wait) = &mut self.keys[key].wait
            && wait.phase == WaitPhase::Ending
            && !wait.interrupted
        {
            wait.phase = WaitPhase::Sent;
        }
    }

    /// Nobody needs the wait any more.
    pub(super) fn give_up_wait(&mut self, key: Id) {
        let Some(wait) = &mut self.keys[key].wait else {
            return;
        };
        match wait.phase {
            WaitPhase::Ordered => {
                if let Some(wait) = self.detach_wait(key) {
                    self.wait_is_over(&wait);
                }
            }
            WaitPhase::Sent => {
                wait.phase = WaitPhase::Ending;
                self.waits.cancels.push_back(key);
            }
            WaitPhase::Ending | WaitPhase::Canceled => {}
        }
    }

    /// The session of the wait is needed.
    pub(super) fn interrupt_wait(&mut self, key: Id) {
        if let Some(wait) = &mut self.keys[key].wait {
            wait.interrupted = true;
        }
        self.give_up_wait(key);
    }

    /// Takes a wait from its key.
    pub(super) fn detach_wait(&mut self, key: Id) -> Option<Wait> {
        let wait = self.keys[key].wait.take()?;
        self.changed.push(key);
        self.waits.active.retain(|active| *active != key);
        if wait.evicted {
            self.waits.evictions -= 1;
        }
        if let Some(session) = wait.session {
            self.sessions[session].waiting = None;
            self.announce(session);
        }
        Some(wait)
    }

    /// What a wait occupied is free for others.
    pub(super) fn wait_is_over(&mut self, wait: &Wait) {
        self.give_back(wait);
        self.serve_line();
    }
}
