//! Deadlocks within the process, and what is to be known about those across processes.
//!
//! A call waits for a lock that callers of ours hold, or will hold before it; their bodies may wait for other locks in
//! turn. A hold ends when its call does, and that is blocked as long as any request is that has the hold around it. Only
//! a request that begins to wait can close a ring: a lock that was just granted has no request inside yet.

use super::Ledger;
use super::orders::{Effect, Enclosing, HeldUp, HeldUpBy, RequestId};
use super::state::caller::{Caller, Stage};
use super::state::key::Grant;
use super::state::slab::Id;
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

impl Ledger {
    /// What those hold who wait for a key, and those who wait for these in turn.
    pub(crate) fn held_up(&mut self, key: Key, by: HeldUpBy) -> HeldUp {
        let mut found = HeldUp::default();
        let Some(start) = self.find(key) else {
            return found;
        };
        let search = self.tick();
        self.keys[start].searched = search;
        let mut blocked_keys = vec![start];
        while let Some(key) = blocked_keys.pop() {
            let blocked = self.blocked(key);
            let is_start = key == start && by == HeldUpBy::Wait;
            let nested: Vec<Id> = self.keys[key].nested.iter(&self.callers).collect();
            for request in nested {
                let caller = &self.callers[request];
                if !is_start && !blocked.contains(caller) {
                    continue;
                }
                if caller.holds_elsewhere {
                    found.holding_elsewhere.push(RequestId(request));
                }
                for hold in caller.enclosing.clone() {
                    let Some((key, mode, session)) = self.held(hold) else {
                        continue;
                    };
                    found.locks.push(Enclosing {
                        request: RequestId(request),
                        key,
                        mode,
                        session,
                    });
                    let held = self.callers[hold.0].key;
                    let searched = &mut self.keys[held].searched;
                    if std::mem::replace(searched, search) != search {
                        blocked_keys.push(held);
                    }
                }
            }
        }
        found
    }

    /// The key for which a request waits since callers of ours hold it, and the keys of the locks around the request. `None`
    /// where it holds nothing, or does not wait for callers of ours.
    pub(crate) fn waits_for_holders(&self, request: RequestId) -> Option<(Key, Vec<Key>)> {
        let caller = self.callers.get(request.0)?;
        let waits = caller.stage == Stage::Waiting && self.blocked(caller.key).contains(caller);
        let holds = caller.enclosing.iter();
        let keys = holds.filter_map(|hold| Some(self.held(*hold)?.0));
        (waits && caller.is_nested()).then(|| (self.keys[caller.key].key, keys.collect()))
    }

    /// Whether a request waits for a lock of ours, whose end waits for the request.
    pub(super) fn closes_ring(&mut self, request: Id) -> bool {
        let search = self.tick();
        self.closes_new_ring(request, search)
    }

    /// Like [`Ledger::closes_ring`], but for keys by which `search` has come already: they don't lead to that of the request.
    fn closes_new_ring(&mut self, request: Id, search: u64) -> bool {
        let caller = &self.callers[request];
        let target = caller.key;
        if caller.enclosing.is_empty() || !self.blocked(target).contains(caller) {
            return false;
        }
        // Backwards: which holds are blocked by those of the request?
        let mut blocked_holds = caller.enclosing.to_vec();
        while let Some(hold) = blocked_holds.pop() {
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
            let blocked = self.blocked(key);
            for nested in self.keys[key].nested.iter(&self.callers) {
                let nested = &self.callers[nested];
                if blocked.contains(nested) {
                    blocked_holds.extend_from_slice(&nested.enclosing);
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
        let mut search = self.tick();
        for caller in nested {
            if self.callers[caller].mode == AdvisoryMode::Shared
                && self.closes_new_ring(caller, search)
            {
                self.finish(caller, |request| Effect::Deadlock { request });
                // What it came by leads to the key after all.
                search = self.tick();
            }
        }
    }

    /// Which requests in a wait queue wait for those of our callers that hold the key.
    fn blocked(&self, key: Id) -> Blocked {
        let state = &self.keys[key];
        let is_shared = |grant: &Grant| grant.mode == AdvisoryMode::Shared;
        let shared_after =
            if !state.grants.iter().all(is_shared) || state.is_refused(AdvisoryMode::Shared) {
                Some(0)
            } else if state.exclusives > 0 {
                let mut queue = state.queue.iter(&self.callers).map(|id| &self.callers[id]);
                let writer = queue.find(|caller| caller.mode == AdvisoryMode::Exclusive);
                writer.map(|writer| writer.since)
            } else {
                None
            };
        Blocked {
            is_held: state.is_held(),
            shared_after,
        }
    }
}

/// Which requests wait for a caller of ours: exclusive ones, and shared ones that can't join it.
#[derive(Clone, Copy)]
struct Blocked {
    is_held: bool,
    /// Shared ones that asked later stand behind a writer. Looked up once for a queue, which may be long.
    shared_after: Option<u64>,
}

impl Blocked {
    fn contains(self, caller: &Caller) -> bool {
        let stands_behind_writer = self
            .shared_after
            .is_some_and(|writer| writer < caller.since);
        self.is_held
            && !caller.no_wait
            && (caller.mode == AdvisoryMode::Exclusive || stands_behind_writer)
    }
}
