//! Requests, and the holds that they become.

use super::Ledger;
use super::orders::{Effect, HeldBy, HoldId, LedgerRequest, RequestId, SessionId};
use super::state::caller::{Caller, Link, Stage};
use super::state::key::{Grant, KeyState};
use super::state::slab::Id;
use super::state::wait::Wait;
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// A caller asks for a lock.
    pub(crate) fn ask(&mut self, request: LedgerRequest<'_>) -> RequestId {
        let since = self.tick();
        let keys = &mut self.keys;
        let add = || keys.insert(KeyState::new(request.key));
        let key = *self.by_key.entry(request.key).or_insert_with(add);
        let caller = self.callers.insert(Caller {
            key,
            mode: request.mode,
            no_wait: request.no_wait,
            own_session: request.own_session,
            stage: Stage::Waiting,
            since,
            enclosing: if request.no_wait {
                Box::default()
            } else {
                request.enclosing.into()
            },
            holds_elsewhere: request.holds_elsewhere && !request.no_wait,
            links: [Link::default(); 2],
        });
        self.line_up(caller);
        if self.closes_ring(caller) {
            self.finish(caller, |request| Effect::Deadlock { request });
        }
        self.changed.push(key);
        self.settle();
        RequestId(caller)
    }

    /// A request whose caller has gone away, or whose time is over: says who has the lock. `None` where it was answered.
    pub(crate) fn withdraw(&mut self, request: RequestId) -> Option<HeldBy> {
        let caller = self.callers.get(request.0)?;
        if caller.stage != Stage::Waiting {
            return None;
        }
        let key = caller.key;
        let held_by = self.held_by(key);
        self.leave_line(request.0);
        self.callers.remove(request.0);
        self.changed.push(key);
        self.settle();
        Some(held_by)
    }

    /// A request gives up, since it is part of a deadlock with other processes.
    pub(crate) fn give_up(&mut self, request: RequestId) {
        if self.is_waiting(request.0) {
            let key = self.callers[request.0].key;
            self.finish(request.0, |request| Effect::Deadlock { request });
            self.changed.push(key);
            self.settle();
        }
    }

    /// The holds of this process that have the key.
    pub(crate) fn holders(&self, key: Key) -> impl Iterator<Item = HoldId> {
        let grants = self.find(key).map(|key| &self.keys[key].grants);
        let holders = |grant: &Grant| grant.holders.iter(&self.callers);
        grants.into_iter().flatten().flat_map(holders).map(HoldId)
    }

    /// Who has the lock that a request waits for. `None` where it was answered.
    pub(crate) fn waits_for(&self, request: RequestId) -> Option<HeldBy> {
        let caller = self.callers.get(request.0)?;
        (caller.stage == Stage::Waiting).then(|| self.held_by(caller.key))
    }

    /// A lock is given back; answered by `Released` or `Lost`. Nothing happens where it was lost before.
    pub(crate) fn release(&mut self, hold: HoldId) {
        let Some((caller, session)) = self.holding(hold) else {
            return;
        };
        let now = self.tick();
        let key = self.callers[caller].key;
        let grant = self.keys[key].grant_mut(session);
        grant.holders.remove(&mut self.callers, caller);
        grant.leaving.push_back(&mut self.callers, caller);
        let state = &mut self.callers[caller];
        state.stage = Stage::Leaving { session };
        state.since = now;
        self.changed.push(key);
        self.settle();
    }

    /// Asks whether a lock is held until now; answered by `Confirmed` or `Lost`.
    pub(crate) fn confirm(&mut self, hold: HoldId) {
        let Some((caller, session)) = self.holding(hold) else {
            return;
        };
        let now = self.tick();
        let key = self.callers[caller].key;
        self.keys[key]
            .grant_mut(session)
            .confirming
            .push((caller, now));
        self.changed.push(key);
        self.settle();
    }

    /// A lock that has not been released, as the server knows it.
    pub(crate) fn held(&self, hold: HoldId) -> Option<(Key, AdvisoryMode, SessionId)> {
        let (caller, session) = self.holding(hold)?;
        let key = &self.keys[self.callers[caller].key];
        Some((key.key, key.grant(session).mode, SessionId(session)))
    }

    /// A hold that has not been released, and its session.
    pub(super) fn holding(&self, hold: HoldId) -> Option<(Id, Id)> {
        match self.callers.get(hold.0)?.stage {
            Stage::Holding { session } => Some((hold.0, session)),
            Stage::Waiting | Stage::Leaving { .. } => None,
        }
    }

    /// Grants what a session was granted to those who are first in the queue and asked before `before`: one for itself,
    /// or a run of shared ones.
    pub(super) fn hand_out(&mut self, key: Id, session: Id, before: u64) {
        while let Some(caller) = self.first(key) {
            let state = &self.callers[caller];
            let grant = self.keys[key].grant(session);
            let fits = match state.mode {
                AdvisoryMode::Exclusive => {
                    grant.mode == AdvisoryMode::Exclusive && grant.holders.is_empty()
                }
                AdvisoryMode::Shared => grant
                    .holders
                    .head()
                    .is_none_or(|holder| self.callers[holder].mode == AdvisoryMode::Shared),
            };
            if !fits || state.own_session || state.since >= before {
                break;
            }
            self.grant_to(caller, session);
        }
    }

    pub(super) fn grant_to(&mut self, caller: Id, session: Id) {
        self.leave_line(caller);
        let state = &mut self.callers[caller];
        state.stage = Stage::Holding { session };
        state.enclosing = Box::default();
        state.holds_elsewhere = false;
        let key = state.key;
        let grant = self.keys[key].grant_mut(session);
        grant.holders.push_back(&mut self.callers, caller);
        self.effects.push(Effect::Granted {
            request: RequestId(caller),
            hold: HoldId(caller),
            session: SessionId(session),
        });
    }

    /// Answers a request that gets no lock.
    pub(super) fn finish(&mut self, caller: Id, effect: impl FnOnce(RequestId) -> Effect) {
        self.leave_line(caller);
        self.callers.remove(caller);
        self.effects.push(effect(RequestId(caller)));
    }

    pub(super) fn busy(&mut self, caller: Id, held_by: HeldBy) {
        self.finish(caller, |request| Effect::Busy { request, held_by });
    }

    /// Whether a request is still waiting.
    pub(super) fn is_waiting(&self, caller: Id) -> bool {
        let caller = self.callers.get(caller);
        caller.is_some_and(|caller| caller.stage == Stage::Waiting)
    }

    fn line_up(&mut self, caller: Id) {
        let state = &self.callers[caller];
        let (mode, no_wait) = (state.mode, state.no_wait);
        let nested = state.is_nested();
        let key = &mut self.keys[state.key];
        if no_wait {
            key.tries[mode as usize].push_back(&mut self.callers, caller);
            return;
        }
        key.queue.push_back(&mut self.callers, caller);
        key.exclusives += u32::from(mode == AdvisoryMode::Exclusive);
        if nested {
            key.nested.push_back(&mut self.callers, caller);
        }
    }

    fn leave_line(&mut self, caller: Id) {
        let state = &self.callers[caller];
        let (mode, no_wait) = (state.mode, state.no_wait);
        let nested = state.is_nested();
        let key = &mut self.keys[state.key];
        if no_wait {
            key.tries[mode as usize].remove(&mut self.callers, caller);
            return;
        }
        key.queue.remove(&mut self.callers, caller);
        key.exclusives -= u32::from(mode == AdvisoryMode::Exclusive);
        if nested {
            key.nested.remove(&mut self.callers, caller);
        }
    }

    /// Who has a key, as far as it is known.
    pub(super) fn held_by(&self, key: Id) -> HeldBy {
        let state = &self.keys[key];
        if state.is_held() {
            HeldBy::Ourselves
        } else if state.refused.is_some() || state.wait.as_ref().is_some_and(Wait::goes_on) {
            HeldBy::Elsewhere
        } else if !state.grants.is_empty() {
            HeldBy::Ourselves
        } else {
            HeldBy::Unknown
        }
    }

    /// The key of that name, if it is known.
    pub(super) fn find(&self, key: Key) -> Option<Id> {
        self.by_key.get(&key).copied()
    }
}
