//! What a key needs now. Only reads.

use super::Ledger;
use super::state::caller::List;
use super::state::key::{Grant, Step};
use super::state::session::SessionKind;
use super::state::slab::Id;
use super::state::wait::Wait;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// Who is to have the key next: who waits comes before who doesn't.
    pub(super) fn first(&self, key: Id) -> Option<Id> {
        let state = &self.keys[key];
        state.queue.head().or_else(|| {
            let tries = state.tries.iter().filter_map(List::head);
            tries.min_by_key(|caller| self.callers[*caller].since)
        })
    }

    fn is_own(&self, session: Id) -> bool {
        self.sessions[session].kind == SessionKind::Own
    }

    /// Whether a session that doesn't hold the key yet may ask the server for it: what ours hold doesn't exclude it.
    fn is_compatible(&self, key: Id, mode: AdvisoryMode) -> bool {
        let shared = |mode| mode == AdvisoryMode::Shared;
        let mut grants = self.keys[key].grants.iter();
        grants.all(|grant| shared(mode) && shared(grant.mode))
    }

    /// The shared grant that the first in line may join, if the server has no writer waiting.
    pub(super) fn to_join(&self, key: Id) -> Option<&Grant> {
        let state = &self.keys[key];
        if state.grants.is_empty() || state.wait.is_some() || state.is_refused(AdvisoryMode::Shared)
        {
            return None;
        }
        let first = &self.callers[self.first(key)?];
        if first.mode == AdvisoryMode::Exclusive || first.own_session {
            return None;
        }
        self.joinable(key)
    }

    /// The shared grant that others may join.
    pub(super) fn joinable(&self, key: Id) -> Option<&Grant> {
        let joinable = |grant: &&Grant| {
            grant.mode == AdvisoryMode::Shared
                && !grant.holders.is_empty()
                && !self.is_own(grant.session)
        };
        self.keys[key].grants.iter().find(joinable)
    }

    /// Whether the helper is to ask if a writer waits; at most together with a confirmation.
    pub(super) fn wants_probe(&self, key: Id) -> bool {
        let state = &self.keys[key];
        let is_quiet = state
            .flight
            .is_none_or(|flight| flight.step == Step::Confirm);
        let asked_since = |first| self.callers[first].since >= state.probed;
        is_quiet
            && state.probe.is_none()
            && self.to_join(key).is_some()
            && self.first(key).is_some_and(asked_since)
    }

    /// What the session of a grant is to do about it.
    pub(super) fn step_on(&self, key: Id, session: Id) -> Option<Step> {
        let state = &self.keys[key];
        let grant = state.grants.iter().find(|grant| grant.session == session)?;
        if state.flight.is_some() {
            return None;
        }
        if grant.holders.is_empty() {
            // The probe has it for a moment: another process that tries then would be refused by nobody.
            return state.probe.is_none().then(|| Step::Unlock {
                then_try: self.try_after_unlock(key, session),
            });
        }
        let joins = || {
            let asked_since = |first| self.callers[first].since >= grant.confirmed;
            let to_join = self
                .to_join(key)
                .is_some_and(|to_join| to_join.session == session);
            to_join && self.first(key).is_some_and(asked_since)
        };
        let wanted = !grant.leaving.is_empty() || !grant.confirming.is_empty() || joins();
        wanted.then_some(Step::Confirm)
    }

    fn try_after_unlock(&self, key: Id, session: Id) -> Option<AdvisoryMode> {
        let state = &self.keys[key];
        let first = &self.callers[self.first(key)?];
        let takes_locks = self.active == Some(session)
            || self.sessions[session].kind == SessionKind::Wait && !self.waits.has_line();
        let mut others = state.grants.iter().filter(|grant| grant.session != session);
        let others_allow = others.all(|grant| {
            first.mode == AdvisoryMode::Shared
                && grant.mode == AdvisoryMode::Shared
                && self.is_own(grant.session)
        });
        (!first.own_session && state.wait.is_none() && takes_locks && others_allow)
            .then_some(first.mode)
    }

    /// The mode in which the active session is to try for the key.
    pub(super) fn wants_try(&self, key: Id) -> Option<AdvisoryMode> {
        let state = &self.keys[key];
        if state.flight.is_some() || state.probe.is_some() {
            return None;
        }
        let first = &self.callers[self.first(key)?];
        if first.own_session || !self.is_compatible(key, first.mode) || self.joinable(key).is_some()
        {
            return None;
        }
        let others_try = !state.queue.is_empty() && state.has_tries();
        let now = match &state.wait {
            Some(wait) => wait.own.is_none() && others_try,
            None => !state.is_refused(first.mode) || others_try || state.poll.due,
        };
        now.then_some(first.mode)
    }

    /// The wait in the server that the key needs.
    pub(super) fn wants_wait(&self, key: Id) -> Option<Wait> {
        let state = &self.keys[key];
        let caller = self.first(key)?;
        let first = &self.callers[caller];
        if !self.is_compatible(key, first.mode) {
            return None;
        }
        if first.own_session {
            return Some(Wait::own(caller, first.mode));
        }
        (!state.queue.is_empty() && state.is_refused(first.mode)).then(|| Wait::new(first.mode))
    }
}
