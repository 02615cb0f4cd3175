//! The sessions, and which of them takes new locks.

use std::collections::VecDeque;

use super::Ledger;
use super::orders::Sent;
use super::orders::{Action, Effect, FailureReason, HoldId, RequestId, Role, SessionId};
use super::state::caller::List;
use super::state::key::{Grant, Step};
use super::state::session::{SessionKind, SessionRecord};
use super::state::slab::Id;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// A session was opened, as ordered.
    pub(crate) fn session_opened(&mut self, role: Role) -> SessionId {
        let session = match role {
            Role::Shared => {
                self.opening.shared = None;
                let is_needed = self.active.is_none_or(|active| self.is_crowded(active));
                let session = self.add_session(SessionKind::Shared);
                self.shared.push(session);
                if is_needed {
                    self.activate(session);
                }
                session
            }
            Role::Helper => {
                self.opening.helper = None;
                let session = self.add_session(SessionKind::Helper);
                self.helper = Some(session);
                self.announce(session);
                session
            }
        };
        SessionId(session)
    }

    /// A session could not be opened: that is told to all who needed it when that began, and to those who came until the
    /// last of `those` did.
    pub(crate) fn open_failed(&mut self, role: Role, those: impl Iterator<Item = RequestId>) {
        let came = those.filter_map(|request| Some(self.callers.get(request.0)?.since + 1));
        let came = came.max();
        match role {
            Role::Shared => {
                let began = self.opening.shared.take().max(came).unwrap_or(0);
                self.opening.successor = false;
                if self.active.is_some_and(|active| !self.is_full(active)) {
                    return;
                }
                let tries: Vec<_> = self.tries.iter().copied().collect();
                for key in tries {
                    if self.keys.get(key).is_some() && self.wants_try(key).is_some() {
                        self.fail_all(key, began, FailureReason::NoSession);
                        self.changed.push(key);
                    }
                }
            }
            Role::Helper => {
                let began = self.opening.helper.take().max(came).unwrap_or(0);
                let probes: Vec<_> = self.probes.iter().copied().collect();
                for key in probes {
                    if self.keys.get(key).is_some() && self.wants_probe(key) {
                        // A wait session finds out too whether a writer waits.
                        self.refuse_to_join(key, began);
                        self.changed.push(key);
                    }
                }
            }
        }
        self.settle();
    }

    fn refuse_to_join(&mut self, key: Id, began: u64) {
        let is_queued = self.keys[key].queue.head();
        if is_queued.is_some_and(|head| self.callers[head].since < began) {
            self.note_refused(key, AdvisoryMode::Shared);
            return;
        }
        while let Some(caller) = self.first(key)
            && self.callers[caller].since < began
        {
            let why = FailureReason::NoSession;
            self.finish(caller, |request| Effect::Failed { request, why });
        }
    }
}

impl Ledger {
    /// A session has ended, and with it all that it held. `ask_again`: what it was asked for is asked once more on
    /// another one, since it had died before; otherwise those requests fail.
    pub(crate) fn session_ended(&mut self, session: SessionId, ask_again: bool) {
        let id = session.0;
        if self.sessions.get(id).is_none() {
            return;
        }
        self.retire(id);
        let batch = std::mem::take(&mut self.sessions[id].batch);
        for sent in batch.iter().filter(|sent| !sent.answered) {
            self.answer_lost(*sent, ask_again);
        }
        while let Some(key) = self.sessions[id].held.last().copied() {
            self.grant_lost(key, id);
        }
        if let Some(key) = self.sessions[id].waiting {
            let own = self.keys[key].wait.as_ref().and_then(|wait| wait.own);
            self.detach_wait(key);
            self.keys[key].refused = None;
            let why = FailureReason::SessionEnded;
            match own.filter(|caller| self.is_waiting(*caller)) {
                _ if ask_again => {}
                Some(caller) => self.finish(caller, |request| Effect::Failed { request, why }),
                None if own.is_some() => {}
                None => self.fail_all(key, u64::MAX, why),
            }
        }
        self.sessions.remove(id);
        self.settle();
    }

    /// Whether a session waits for a lock, or has one for somebody, and not only until its release is answered.
    pub(crate) fn is_needed(&self, session: SessionId) -> bool {
        let Some(state) = self.sessions.get(session.0) else {
            return false;
        };
        let mut grants = state
            .held
            .iter()
            .map(|key| self.keys[*key].grant(session.0));
        state.waiting.is_some() || grants.any(|grant| !grant.holders.is_empty())
    }

    /// Closes a session that holds nothing and has nothing to do, and says whether it did.
    pub(crate) fn close_idle(&mut self, session: SessionId) -> bool {
        let Some(state) = self.sessions.get(session.0) else {
            return false;
        };
        let is_idle = state.held.is_empty()
            && state.unanswered == 0
            && state.waiting.is_none()
            && !self.has_work(session.0);
        if is_idle {
            self.remove_session(session.0);
        }
        is_idle
    }

    /// The answer to an operation is lost, and what it did has ended with the session.
    fn answer_lost(&mut self, sent: Sent, ask_again: bool) {
        let key = sent.key;
        self.changed.push(key);
        if sent.action == Action::ProbeShared {
            self.keys[key].probe = None;
            return;
        }
        // The second half of a pair has none left.
        let Some(flight) = self.keys[key].flight.take() else {
            return;
        };
        let Step::Try { after_unlock, .. } = flight.step else {
            return;
        };
        self.locks -= 1;
        if !ask_again && !after_unlock {
            self.fail_first(key, flight.sent, FailureReason::SessionEnded);
            let why = FailureReason::SessionEnded;
            for mode in [AdvisoryMode::Exclusive, AdvisoryMode::Shared] {
                while let Some(caller) = self.keys[key].tries[mode as usize].head()
                    && self.callers[caller].since < flight.sent
                {
                    self.finish(caller, |request| Effect::Failed { request, why });
                }
            }
        }
    }

    fn grant_lost(&mut self, key: Id, session: Id) {
        let grant = self.remove_grant(key, session);
        for mut list in [grant.holders, grant.leaving] {
            while let Some(caller) = list.head() {
                list.remove(&mut self.callers, caller);
                self.callers.remove(caller);
                let hold = HoldId(caller);
                self.effects.push(Effect::Lost { hold });
            }
        }
        self.changed.push(key);
    }

    pub(super) fn add_session(&mut self, kind: SessionKind) -> Id {
        self.sessions.insert(SessionRecord {
            kind,
            held: Vec::new(),
            ready: VecDeque::new(),
            batch: Vec::new(),
            unanswered: 0,
            waiting: None,
            announced: false,
            has_ended: false,
        })
    }

    pub(super) fn remove_session(&mut self, session: Id) {
        self.retire(session);
        self.sessions.remove(session);
    }

    /// A session of its own goes with its lock.
    pub(super) fn forget_own(&mut self, session: Id) {
        let state = &self.sessions[session];
        if state.kind == SessionKind::Own && state.held.is_empty() && state.waiting.is_none() {
            self.remove_session(session);
        }
    }

    /// Nothing new is given to a session.
    fn retire(&mut self, session: Id) {
        let state = &mut self.sessions[session];
        state.has_ended = true;
        match state.kind {
            SessionKind::Shared => {
                self.shared.retain(|shared| *shared != session);
                if self.active == Some(session) {
                    self.active = None;
                    self.reuse();
                }
            }
            SessionKind::Helper => self.helper = None,
            SessionKind::Wait => self.wait_session_gone(session),
            SessionKind::Own => {}
        }
    }

    /// The server has granted a key to a session.
    pub(super) fn add_grant(&mut self, key: Id, session: Id, mode: AdvisoryMode, confirmed: u64) {
        let held = &mut self.sessions[session].held;
        let position = held.len();
        held.push(key);
        let grants = &mut self.keys[key].grants;
        // One is the rule, by far.
        grants.reserve_exact(1);
        grants.push(Grant {
            session,
            mode,
            position,
            holders: List::default(),
            leaving: List::default(),
            confirming: Vec::new(),
            confirmed,
            listed: false,
        });
        self.locks += 1;
        if self.active == Some(session) && self.is_crowded(session) {
            self.opening.successor = true;
            self.reuse();
        }
    }

    /// A session doesn't have a key any more.
    pub(super) fn remove_grant(&mut self, key: Id, session: Id) -> Grant {
        let grants = &mut self.keys[key].grants;
        let index = grants.iter().position(|grant| grant.session == session);
        let grant = grants.swap_remove(index.expect("a key that is held has a grant"));
        let held = &mut self.sessions[session].held;
        held.swap_remove(grant.position);
        if let Some(moved) = held.get(grant.position).copied() {
            self.keys[moved].grant_mut(session).position = grant.position;
        }
        self.locks -= 1;
        if self.shared.contains(&session) {
            self.reuse();
        }
        grant
    }

    /// Lets a session that has drained far enough take new locks, where one is needed.
    fn reuse(&mut self) {
        if self.active.is_some_and(|active| !self.is_crowded(active)) {
            return;
        }
        let has_drained = |session: &Id| {
            self.active != Some(*session)
                && self.sessions[*session].held.len() < self.limits.reuse_below
        };
        if let Some(session) = self.shared.iter().copied().find(has_drained) {
            self.activate(session);
        }
    }

    fn activate(&mut self, session: Id) {
        self.active = Some(session);
        self.opening.successor = false;
        self.announce(session);
    }

    /// Whether a session has so many locks that another one is worth it: the more there are, the less.
    fn is_crowded(&self, session: Id) -> bool {
        let sessions = self.shared.len().max(1);
        let limit = self.limits.drain_above * sessions * sessions;
        self.sessions[session].held.len() > limit.min(self.limits.session_locks - 1)
    }

    pub(super) fn is_full(&self, session: Id) -> bool {
        self.sessions[session].held.len() >= self.limits.session_locks
    }

    /// The session that has to be opened, if one has.
    pub(super) fn next_to_open(&mut self) -> Option<Role> {
        if self.opening.shared.is_none() && self.needs_shared() {
            self.opening.shared = Some(self.tick());
            return Some(Role::Shared);
        }
        if self.opening.helper.is_none() && self.helper.is_none() && self.needs_helper() {
            self.opening.helper = Some(self.tick());
            return Some(Role::Helper);
        }
        None
    }

    fn needs_shared(&mut self) -> bool {
        match self.active {
            Some(active) if self.opening.successor && self.is_crowded(active) => return true,
            Some(active) if !self.is_full(active) => return false,
            Some(_) | None => {}
        }
        while let Some(key) = self.tries.front().copied() {
            if self.keys.get(key).is_some() && self.wants_try(key).is_some() {
                return true;
            }
            self.tries.pop_front();
            if let Some(state) = self.keys.get_mut(key) {
                state.in_tries = false;
            }
        }
        false
    }

    fn needs_helper(&mut self) -> bool {
        while let Some(key) = self.probes.front().copied() {
            if self.keys.get(key).is_some() && self.wants_probe(key) {
                return true;
            }
            self.probes.pop_front();
            if let Some(state) = self.keys.get_mut(key) {
                state.in_probes = false;
            }
        }
        false
    }

    /// Whether there may be something to send to a session that can be sent something.
    pub(super) fn has_work(&self, session: Id) -> bool {
        let state = &self.sessions[session];
        let tries =
            self.active == Some(session) && !self.tries.is_empty() && !self.is_full(session);
        let probes = self.helper == Some(session) && !self.probes.is_empty();
        let work = tries || probes || !state.ready.is_empty();
        work && state.unanswered == 0 && state.waiting.is_none() && !state.has_ended
    }

    /// Puts a session in the list of those that can be sent a batch, if there is something to send.
    pub(super) fn announce(&mut self, session: Id) {
        if self
            .sessions
            .get(session)
            .is_some_and(|state| !state.announced)
            && self.has_work(session)
        {
            self.sessions[session].announced = true;
            self.ready.push_back(session);
        }
    }

    pub(super) fn announce_active(&mut self) {
        if let Some(active) = self.active {
            self.announce(active);
        }
    }
}
