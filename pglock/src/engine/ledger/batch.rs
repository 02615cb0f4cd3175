//! Batches of operations, made up when they are sent, and their answers.

use super::Ledger;
use super::orders::{
    Action, Answer, Effect, FailureReason, HeldBy, HoldId, Op, RequestId, Sent, SessionId,
};
use super::state::caller::List;
use super::state::key::{Flight, Step};
use super::state::session::SessionKind;
use super::state::slab::Id;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// Adds to `ops` what a session is to be asked in one statement, at most `max` operations; nothing while answers to
    /// the last one are missing. Unlocks come first, so that the lock table has room for what follows. An `unlock` and
    /// a `try` of one key stay together: who waits in the server comes between them.
    pub(crate) fn next_batch(&mut self, session: SessionId, max: usize, ops: &mut Vec<Op>) {
        let id = session.0;
        let Some(state) = self.sessions.get(id) else {
            return;
        };
        if state.unanswered > 0 || state.waiting.is_some() {
            return;
        }
        let now = self.tick();
        let mut batch = std::mem::take(&mut self.sessions[id].batch);
        let mut later = std::mem::take(&mut self.later);
        self.add_steps(id, now, max, &mut batch, &mut later);
        if self.active == Some(id) {
            let max = max.saturating_sub(batch.len());
            self.add_tries(id, now, max, &mut later);
        }
        if self.helper == Some(id) {
            self.add_probes(now, max, &mut batch);
        }
        batch.append(&mut later);
        self.later = later;
        ops.extend(batch.iter().map(|sent| Op {
            key: self.keys[sent.key].key,
            action: sent.action,
        }));
        let state = &mut self.sessions[id];
        state.unanswered = batch.len();
        state.batch = batch;
        self.settle();
        self.announce(id);
    }

    fn add_steps(
        &mut self,
        session: Id,
        now: u64,
        max: usize,
        batch: &mut Vec<Sent>,
        later: &mut Vec<Sent>,
    ) {
        // A pair takes two.
        while batch.len() + later.len() + 1 < max.max(2) {
            let Some(key) = self.sessions[session].ready.pop_front() else {
                return;
            };
            let Some(state) = self.keys.get_mut(key) else {
                continue;
            };
            let mut grants = state.grants.iter_mut();
            let Some(grant) = grants.find(|grant| grant.session == session) else {
                continue;
            };
            grant.listed = false;
            let mode = grant.mode;
            let Some(step) = self.step_on(key, session) else {
                continue;
            };
            match step {
                Step::Unlock { then_try: None } => batch.push(Sent::new(key, Action::Unlock(mode))),
                Step::Unlock {
                    then_try: Some(wanted),
                } => {
                    later.push(Sent::new(key, Action::Unlock(mode)));
                    later.push(Sent::new(key, Action::Try(wanted)));
                    self.keys[key].poll.due = false;
                }
                Step::Confirm => batch.push(Sent::new(key, Action::Confirm)),
                Step::Try { .. } | Step::Nothing => continue,
            }
            self.keys[key].flight = Some(Flight { sent: now, step });
        }
    }

    fn add_tries(&mut self, session: Id, now: u64, max: usize, later: &mut Vec<Sent>) {
        let mut held = self.sessions[session].held.len();
        while later.len() < max && held < self.limits.session_locks {
            let Some(key) = self.tries.pop_front() else {
                return;
            };
            let Some(state) = self.keys.get_mut(key) else {
                continue;
            };
            state.in_tries = false;
            let Some(mode) = self.wants_try(key) else {
                continue;
            };
            if !self.has_room() {
                self.fail_all(key, u64::MAX, FailureReason::LockTableFull);
                self.changed.push(key);
                continue;
            }
            let step = Step::Try {
                mode,
                after_unlock: false,
            };
            let state = &mut self.keys[key];
            state.flight = Some(Flight { sent: now, step });
            state.poll.due = false;
            self.locks += 1;
            held += 1;
            later.push(Sent::new(key, Action::Try(mode)));
        }
    }

    fn add_probes(&mut self, now: u64, max: usize, batch: &mut Vec<Sent>) {
        while batch.len() < max {
            let Some(key) = self.probes.pop_front() else {
                return;
            };
            let Some(state) = self.keys.get_mut(key) else {
                continue;
            };
            state.in_probes = false;
            if self.wants_probe(key) {
                self.keys[key].probe = Some(now);
                batch.push(Sent::new(key, Action::ProbeShared));
            }
        }
    }

    /// The answer to the `nth` operation of the batch that a session was sent, counted from 0.
    pub(crate) fn answer(&mut self, session: SessionId, nth: usize, answer: Answer) {
        let id = session.0;
        let Some(state) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(sent) = state.batch.get_mut(nth) else {
            return;
        };
        if std::mem::replace(&mut sent.answered, true) {
            return;
        }
        let Sent { key, action, .. } = *sent;
        state.unanswered -= 1;
        if state.unanswered == 0 {
            state.batch.clear();
        }
        if action == Action::ProbeShared {
            self.probe_answered(key, answer);
        } else if let Some(flight) = self.keys[key].flight.take() {
            self.step_answered(key, id, flight, answer);
        }
        if self.sessions[id].kind == SessionKind::Wait {
            self.free_wait_session(id);
        }
        self.changed.push(key);
        self.settle();
        self.announce(id);
        self.forget_own(id);
    }

    fn step_answered(&mut self, key: Id, session: Id, flight: Flight, answer: Answer) {
        let Flight { sent, step } = flight;
        match (step, answer) {
            (Step::Unlock { then_try }, Answer::Yes | Answer::No) => {
                self.unlocked(key, session, answer == Answer::Yes);
                if let Some(mode) = then_try {
                    let step = Step::Try {
                        mode,
                        after_unlock: true,
                    };
                    self.keys[key].flight = Some(Flight { sent, step });
                    self.locks += 1;
                }
            }
            (Step::Unlock { then_try: Some(_) }, Answer::NotRun | Answer::Failed) => {
                // The answer to the try is still to come.
                let step = Step::Nothing;
                self.keys[key].flight = Some(Flight { sent, step });
            }
            (Step::Try { mode, .. }, _) => {
                self.locks -= 1;
                self.try_answered(key, session, mode, sent, answer);
            }
            (Step::Confirm, Answer::Yes) => self.confirmed(key, session, sent),
            (Step::Unlock { .. } | Step::Confirm | Step::Nothing, _) => {}
        }
    }

    fn try_answered(
        &mut self,
        key: Id,
        session: Id,
        mode: AdvisoryMode,
        sent: u64,
        answer: Answer,
    ) {
        match answer {
            Answer::Yes => {
                self.add_grant(key, session, mode, sent);
                self.keys[key].refused = None;
                self.hand_out(key, session, u64::MAX);
            }
            Answer::No => {
                let is_queued = !self.keys[key].queue.is_empty();
                if is_queued {
                    self.note_refused(key, mode);
                }
                self.refuse_tries(key, AdvisoryMode::Exclusive, HeldBy::Elsewhere, sent);
                // Who wants it shared may have it where others have it shared.
                if is_queued || mode == AdvisoryMode::Shared {
                    self.refuse_tries(key, AdvisoryMode::Shared, HeldBy::Elsewhere, sent);
                }
            }
            Answer::Failed => self.fail_first(key, sent, FailureReason::Refused),
            Answer::NotRun => {}
        }
    }

    fn probe_answered(&mut self, key: Id, answer: Answer) {
        let Some(sent) = self.keys[key].probe.take() else {
            return;
        };
        match answer {
            Answer::Yes => self.keys[key].probed = sent,
            Answer::No | Answer::Failed => {
                if self.to_join(key).is_some() {
                    if !self.keys[key].queue.is_empty() {
                        self.note_refused(key, AdvisoryMode::Shared);
                    }
                    self.refuse_tries(key, AdvisoryMode::Shared, HeldBy::Elsewhere, sent);
                }
            }
            Answer::NotRun => {}
        }
    }

    /// Others have the key, or wait for it. From here on those who wait depend on them, and they on what we hold shared.
    pub(super) fn note_refused(&mut self, key: Id, mode: AdvisoryMode) {
        self.keys[key].refused = Some(mode);
        self.answer_rings(key);
    }

    /// A session has unlocked a key.
    fn unlocked(&mut self, key: Id, session: Id, was_held: bool) {
        let mut grant = self.remove_grant(key, session);
        while let Some(caller) = grant.leaving.head() {
            grant.leaving.remove(&mut self.callers, caller);
            self.callers.remove(caller);
            let hold = HoldId(caller);
            self.effects.push(Effect::Released { hold, was_held });
        }
    }

    /// A session was there after `sent`, and so holds what it held.
    fn confirmed(&mut self, key: Id, session: Id, sent: u64) {
        let grant = self.keys[key].grant_mut(session);
        grant.confirmed = sent;
        while let Some(caller) = grant.leaving.head() {
            if self.callers[caller].since >= sent {
                break;
            }
            grant.leaving.remove(&mut self.callers, caller);
            self.callers.remove(caller);
            self.effects.push(Effect::Released {
                hold: HoldId(caller),
                was_held: true,
            });
        }
        let mut confirming = std::mem::take(&mut grant.confirming);
        confirming.retain(|(caller, since)| {
            let hold = HoldId(*caller);
            let is_held = self.holding(hold).is_some();
            if is_held && *since < sent {
                self.effects.push(Effect::Confirmed { hold });
            }
            is_held && *since >= sent
        });
        self.keys[key].grant_mut(session).confirming = confirming;
    }

    /// Lets those join a shared lock who asked before both the probe and the confirmation were sent.
    pub(super) fn join(&mut self, key: Id) {
        if let Some(grant) = self.to_join(key) {
            let (session, before) = (grant.session, grant.confirmed.min(self.keys[key].probed));
            self.hand_out(key, session, before);
        }
    }

    /// The request fails for which a key was tried.
    pub(super) fn fail_first(&mut self, key: Id, sent: u64, why: FailureReason) {
        if let Some(caller) = self.first(key)
            && self.callers[caller].since < sent
        {
            self.finish(caller, |request: RequestId| Effect::Failed { request, why });
        }
    }

    /// All requests for a key fail that asked before `before`.
    pub(super) fn fail_all(&mut self, key: Id, before: u64, why: FailureReason) {
        let first = |ledger: &Self| {
            let state = &ledger.keys[key];
            let lists = [state.queue, state.tries[0], state.tries[1]];
            let mut heads = lists.iter().filter_map(List::head);
            heads.find(|head| ledger.callers[*head].since < before)
        };
        while let Some(caller) = first(self) {
            self.finish(caller, |request| Effect::Failed { request, why });
        }
    }
}
