//! Deadlocks within the process, and what is to be known about those across processes.
//!
//! A call waits for a lock that callers of ours hold, or will hold before it; their bodies may wait for other locks in
//! turn. A hold ends when its call does, and that is blocked as long as any request is that has the hold around it. Only
//! a request that begins to wait can close a ring: a lock that was just granted has no request inside yet.

use super::Ledger;
use super::orders::{Effect, Enclosing, RequestId, SessionId};
use super::state::slab::Id;
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// What those hold who wait for a key, and those who wait for these in turn.
    pub(crate) fn enclosing(&mut self, key: Key) -> Vec<Enclosing> {
        let Some(start) = self.find(key) else {
            return Vec::new();
        };
        let search = self.tick();
        self.keys[start].searched = search;
        let mut found = Vec::new();
        let mut blocked_keys = vec![start];
        while let Some(key) = blocked_keys.pop() {
            let nested: Vec<Id> = self.keys[key].nested.iter(&self.callers).collect();
            for request in nested {
                if key != start && !self.is_blocked(request) {
                    continue;
                }
                for hold in self.callers[request].enclosing.clone() {
                    let Some((caller, session)) = self.holding(hold) else {
                        continue;
                    };
                    let held = self.callers[caller].key;
                    let state = &mut self.keys[held];
                    found.push(Enclosing {
                        request: RequestId(request),
                        key: state.key,
                        mode: state.grant(session).mode,
                        session: SessionId(session),
                    });
                    if std::mem::replace(&mut state.searched, search) != search {
                        blocked_keys.push(held);
                    }
                }
            }
        }
        found
    }

    /// Whether a request waits for a lock of ours, whose end waits for the request.
    pub(super) fn closes_ring(&mut self, request: Id) -> bool {
        let target = self.callers[request].key;
        if self.callers[request].enclosing.is_empty() || !self.is_blocked(request) {
            return false;
        }
        // Backwards: which holds are blocked by those of the request?
        let search = self.tick();
        let mut blocked = self.callers[request].enclosing.to_vec();
        while let Some(hold) = blocked.pop() {
            let Some((caller, _)) = self.holding(hold) else {
                continue;
            };
            let key = self.callers[caller].key;
            if key == target {
                return true;
            }
            if std::mem::replace(&mut self.keys[key].searched, search) == search {
                continue;
            }
            for nested in self.keys[key].nested.iter(&self.callers) {
                if self.is_blocked(nested) {
                    blocked.extend_from_slice(&self.callers[nested].enclosing);
                }
            }
        }
        false
    }

    /// Answers those who close a ring now that others wait for what we hold shared.
    pub(super) fn answer_rings(&mut self, key: Id) {
        let state = &self.keys[key];
        if state.nested.is_empty() || !state.is_held() {
            return;
        }
        let nested: Vec<_> = state.nested.iter(&self.callers).collect();
        for caller in nested {
            if self.callers[caller].mode == AdvisoryMode::Shared && self.closes_ring(caller) {
                self.finish(caller, |request| Effect::Deadlock { request });
            }
        }
    }

    /// Whether a request in a wait queue waits for those of our callers that hold the key. Shared ones that are about
    /// to join them don't.
    fn is_blocked(&self, request: Id) -> bool {
        let caller = &self.callers[request];
        let state = &self.keys[caller.key];
        if caller.no_wait || !state.is_held() {
            return false;
        }
        let held_shared = state
            .grants
            .iter()
            .all(|grant| grant.mode == AdvisoryMode::Shared);
        if caller.mode == AdvisoryMode::Exclusive
            || !held_shared
            || state.is_refused(AdvisoryMode::Shared)
        {
            return true;
        }
        let mut ahead = state
            .queue
            .iter(&self.callers)
            .take_while(|ahead| *ahead != request);
        state.exclusives > 0
            && ahead.any(|ahead| self.callers[ahead].mode == AdvisoryMode::Exclusive)
    }
}
