//! On which sessions is waited for keys, and for which keys there is none.
//!
//! Wait sessions are few. A key that gets none is polled until one comes free, unless a caller that waits for it holds
//! locks: then another wait makes room for it, or one more session is opened.

use super::Ledger;
use super::orders::{Effect, FailureReason};
use super::state::session::SessionKind;
use super::state::slab::Id;
use super::state::wait::Wait;
use crate::model::options::AdvisoryMode;

/// A session to wait on; none: one that is to be opened.
struct Room {
    session: Option<Id>,
}

impl Ledger {
    /// Begins a wait, or polls until that is possible.
    pub(super) fn ask_to_wait(&mut self, key: Id, wanted: Wait) {
        if wanted.own.is_some() {
            self.begin_wait(key, wanted);
            return;
        }
        let is_nested = !self.keys[key].nested.is_empty();
        if let Some((nested, session)) = self.session_of_enclosing(key) {
            let wait = wanted.on(Some(session));
            self.begin_wait(key, wait.of_enclosing(nested));
            return;
        }
        if let Some(room) = self.take_wait_session() {
            self.begin_wait(key, wanted.on(room.session));
            return;
        }
        if is_nested {
            self.make_room(key, wanted);
            return;
        }
        let state = &mut self.keys[key];
        if !state.in_line {
            state.in_line = true;
            self.waits.line.push_back(key);
        }
        let poll = state.poll;
        if poll.timer.is_none() && !poll.due {
            let timer = self.tick();
            let state = &mut self.keys[key];
            state.poll.timer = Some(timer);
            self.effects.push(Effect::Poll {
                key: state.key,
                timer,
                attempt: poll.attempt,
            });
        }
    }

    /// Gets a wait session for callers that hold locks: from a wait of others, or one more.
    fn make_room(&mut self, key: Id, wanted: Wait) {
        if self.waits.nested_line.contains(&key) {
            return;
        }
        if self.waits.evictions > self.waits.nested_line.len() || self.evict() {
            if let Some(room) = self.take_wait_session() {
                self.begin_wait(key, wanted.on(room.session));
                return;
            }
            self.waits.nested_line.push_back(key);
            return;
        }
        if !self.waits.exhausted && self.waits.sessions < self.limits.nested_wait_sessions {
            self.waits.sessions += 1;
            self.begin_wait(key, wanted);
            return;
        }
        while let Some(caller) = self.keys[key].nested.head() {
            let why = FailureReason::NoWaitSession;
            self.finish(caller, |request| Effect::Failed { request, why });
        }
        self.changed.push(key);
    }

    /// Ends a wait of callers that hold nothing, so that they are polled instead.
    fn evict(&mut self) -> bool {
        let can_go = |key: &Id| {
            let state = &self.keys[*key];
            let holds = |session: Id| !self.sessions[session].held.is_empty();
            let can_go = |wait: &Wait| !wait.evicted && !wait.session.is_some_and(holds);
            state.nested.is_empty() && state.wait.as_ref().is_some_and(can_go)
        };
        let Some(key) = self.waits.active.iter().copied().find(can_go) else {
            return false;
        };
        if self.keys[key].wait.as_ref().is_some_and(Wait::is_sent) {
            self.interrupt_wait(key);
            if let Some(wait) = &mut self.keys[key].wait {
                wait.evicted = true;
                self.waits.evictions += 1;
            }
        } else if let Some(wait) = self.detach_wait(key) {
            self.give_back(&wait);
        }
        true
    }

    /// A wait session that holds nothing but locks of the calls around the one that is first in line: there the server
    /// sees a deadlock that they are part of.
    fn session_of_enclosing(&self, key: Id) -> Option<(Id, Id)> {
        let caller = self.keys[key].queue.head()?;
        let enclosing = &self.callers[caller].enclosing;
        let sessions = enclosing
            .iter()
            .filter_map(|hold| Some(self.holding(*hold)?.1));
        let holds_nothing_else = |session: &Id| {
            let session = *session;
            let state = &self.sessions[session];
            let is_free = state.kind == SessionKind::Wait
                && state.waiting.is_none()
                && state.unanswered == 0
                && state.ready.is_empty();
            is_free
                && state.held.iter().all(|key| {
                    let grant = self.keys[*key].grant(session);
                    let mut holders = grant.holders.iter(&self.callers);
                    let is_enclosing = |holder| enclosing.iter().any(|hold| hold.0 == holder);
                    !grant.holders.is_empty() && holders.all(is_enclosing)
                })
        };
        let session = sessions.into_iter().find(holds_nothing_else)?;
        Some((caller, session))
    }

    pub(super) fn give_back(&mut self, wait: &Wait) {
        match (wait.own, wait.session) {
            (Some(_), Some(session)) => {
                if self.sessions[session].held.is_empty() {
                    self.remove_session(session);
                }
            }
            (Some(_), None) => {}
            (None, Some(session)) => self.put_aside(session),
            (None, None) => self.waits.sessions -= 1,
        }
    }

    fn put_aside(&mut self, session: Id) {
        let state = &self.sessions[session];
        let is_idle = state.held.is_empty() && state.unanswered == 0 && state.waiting.is_none();
        if is_idle && !state.has_ended && !self.waits.idle.contains(&session) {
            self.waits.idle.push(session);
        }
    }

    /// A wait session may have nothing to do any more.
    pub(super) fn free_wait_session(&mut self, session: Id) {
        self.put_aside(session);
        self.serve_line();
    }

    /// A wait session has ended.
    pub(super) fn wait_session_gone(&mut self, session: Id) {
        self.waits.idle.retain(|idle| *idle != session);
        self.waits.sessions -= 1;
        self.serve_line();
    }

    /// An idle wait session, or leave to open one.
    fn take_wait_session(&mut self) -> Option<Room> {
        if let Some(session) = self.waits.idle.pop() {
            return Some(Room {
                session: Some(session),
            });
        }
        let may_open = !self.waits.exhausted && self.waits.sessions < self.limits.wait_sessions;
        may_open.then(|| {
            self.waits.sessions += 1;
            Room { session: None }
        })
    }

    /// Gives free wait sessions to those who line up for them.
    pub(super) fn serve_line(&mut self) {
        while self.waits.has_line()
            && let Some(room) = self.take_wait_session()
        {
            match self.next_in_line() {
                Some((key, wanted)) => self.begin_wait(key, wanted.on(room.session)),
                None => self.give_back(&Wait::new(AdvisoryMode::Shared).on(room.session)),
            }
        }
        // Those for whom nothing came free after all ask again.
        let line = self.waits.nested_line.drain(..).rev();
        self.changed.extend(line);
    }

    fn next_in_line(&mut self) -> Option<(Id, Wait)> {
        loop {
            let nested = self.waits.nested_line.pop_front();
            let key = nested.or_else(|| self.waits.line.pop_front())?;
            let Some(state) = self.keys.get_mut(key) else {
                continue;
            };
            if nested.is_none() {
                state.in_line = false;
            }
            let is_quiet = state.wait.is_none() && state.flight.is_none() && state.probe.is_none();
            let wanted = self.wants_wait(key).filter(|wanted| wanted.own.is_none());
            if let Some(wanted) = wanted.filter(|_| is_quiet) {
                return Some((key, wanted));
            }
        }
    }
}
