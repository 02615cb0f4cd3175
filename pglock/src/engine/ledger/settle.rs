//! Brings keys up to date after an event: who can't get it is told so, waits begin and end, sessions learn what to send.

use super::Ledger;
use super::orders::HeldBy;
use super::state::slab::Id;
use super::state::wait::Poll;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// Brings all keys up to date that an event has changed.
    pub(super) fn settle(&mut self) {
        while let Some(key) = self.changed.pop() {
            if self.keys.get(key).is_some() {
                self.settle_key(key);
            }
        }
    }

    fn settle_key(&mut self, key: Id) {
        self.join(key);
        self.answer_hopeless_tries(key);
        let state = &mut self.keys[key];
        if state.queue.is_empty() {
            state.refused = None;
            state.poll = Poll::default();
        }
        self.settle_wait(key);
        self.list_steps(key);
        let state = &self.keys[key];
        if state.is_free() {
            self.by_key.remove(&state.key);
            self.keys.remove(key);
        }
    }

    /// Who doesn't wait is answered without SQL where a caller of ours has the lock, or comes before.
    fn answer_hopeless_tries(&mut self, key: Id) {
        let state = &self.keys[key];
        if !state.has_tries() {
            return;
        }
        let is_held = state.is_held();
        let held_exclusive = is_held
            && state
                .grants
                .iter()
                .any(|grant| grant.mode == AdvisoryMode::Exclusive);
        let behind_writer_elsewhere =
            is_held && !state.queue.is_empty() && state.is_refused(AdvisoryMode::Shared);
        let behind_writer = is_held && (held_exclusive || state.exclusives > 0);
        // Its own session asks for it; the active one can't overtake that.
        let behind_own = state
            .queue
            .head()
            .is_some_and(|head| self.callers[head].own_session);
        let held_by = self.held_by(key);
        if is_held || behind_own {
            self.refuse_tries(key, AdvisoryMode::Exclusive, held_by, u64::MAX);
        }
        if behind_writer || behind_own {
            self.refuse_tries(key, AdvisoryMode::Shared, held_by, u64::MAX);
        } else if behind_writer_elsewhere {
            self.refuse_tries(key, AdvisoryMode::Shared, HeldBy::Elsewhere, u64::MAX);
        }
    }

    /// Answers those who don't wait and asked before `before`.
    pub(super) fn refuse_tries(
        &mut self,
        key: Id,
        mode: AdvisoryMode,
        held_by: HeldBy,
        before: u64,
    ) {
        while let Some(caller) = self.keys[key].tries[mode as usize].head() {
            if self.callers[caller].since >= before {
                break;
            }
            self.busy(caller, held_by);
        }
    }

    fn settle_wait(&mut self, key: Id) {
        let wanted = self.wants_wait(key);
        let state = &self.keys[key];
        match (&state.wait, wanted) {
            (None, None) => {}
            (None, Some(wanted)) => {
                if state.flight.is_none() && state.probe.is_none() {
                    self.ask_to_wait(key, wanted);
                }
            }
            (Some(wait), wanted) => {
                let tries_on = wait
                    .own
                    .is_some_and(|own| self.is_waiting(own) && self.callers[own].no_wait);
                if tries_on || wanted.is_some_and(|wanted| wait.serves(&wanted)) {
                    self.keep_wait(key);
                } else {
                    self.give_up_wait(key);
                }
            }
        }
    }

    /// Tells sessions that there is something to send.
    fn list_steps(&mut self, key: Id) {
        for index in 0..self.keys[key].grants.len() {
            let grant = &self.keys[key].grants[index];
            let session = grant.session;
            if grant.listed || self.step_on(key, session).is_none() {
                continue;
            }
            self.keys[key].grants[index].listed = true;
            self.sessions[session].ready.push_back(key);
            if let Some(waits_for) = self.sessions[session].waiting {
                // It can't unlock what it holds as long as it waits for another lock.
                self.interrupt_wait(waits_for);
            }
            self.announce(session);
        }
        if !self.keys[key].in_tries && self.wants_try(key).is_some() {
            self.keys[key].in_tries = true;
            self.tries.push_back(key);
            self.announce_active();
        }
        if !self.keys[key].in_probes && self.wants_probe(key) {
            self.keys[key].in_probes = true;
            self.probes.push_back(key);
            if let Some(helper) = self.helper {
                self.announce(helper);
            }
        }
    }
}
