//! Which locks can't be released while others are waited for, also where calls hold and wait through several handles, each of
//! which has a ledger of its own.

use std::collections::HashSet;
use std::rc::Rc;

use super::Arbiter;
use crate::engine::ledger::{Enclosing, HeldUpBy, RequestId};
use crate::engine::request::HoldElsewhere;
use crate::model::lock_id::Key;

/// A lock that somebody holds who can't go on.
pub(super) struct LockHeldUp {
    /// The one that has the request of who holds it.
    pub(super) waits_at: Rc<Arbiter>,
    /// The one that has the lock.
    pub(super) held_at: Rc<Arbiter>,
    pub(super) lock: Enclosing,
}

/// A key of an arbiter for which somebody waits.
pub(super) type Awaited = (Rc<Arbiter>, Key, HeldUpBy);

/// What those hold who wait for these keys, and those who wait for them in turn.
pub(super) fn locks_held_up(mut awaited: Vec<Awaited>) -> Vec<LockHeldUp> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    while let Some((arbiter, key, by)) = awaited.pop() {
        if !seen.insert((Rc::as_ptr(&arbiter), key)) {
            continue;
        }
        let held_up = arbiter.register().ledger.held_up(key, by);
        found.extend(held_up.locks.into_iter().map(|lock| LockHeldUp {
            waits_at: Rc::clone(&arbiter),
            held_at: Rc::clone(&arbiter),
            lock,
        }));
        for request in held_up.holding_elsewhere {
            for (held_at, lock) in arbiter.holds_elsewhere(request) {
                awaited.push((Rc::clone(&held_at), lock.key, HeldUpBy::Holders));
                found.push(LockHeldUp {
                    waits_at: Rc::clone(&arbiter),
                    held_at,
                    lock,
                });
            }
        }
    }
    found
}

impl Arbiter {
    /// What the calls around a request hold through other handles.
    fn holds_elsewhere(&self, request: RequestId) -> Vec<(Rc<Arbiter>, Enclosing)> {
        let book = self.book.borrow();
        let Some((waiting, all)) = book.waiting.get(&request).zip(self.arbiters.upgrade()) else {
            return Vec::new();
        };
        let elsewhere = waiting.request.elsewhere.iter();
        let holds = elsewhere.filter_map(|HoldElsewhere { database, hold }| {
            let held_at = all.find(database)?;
            let (key, mode, session) = held_at.register().ledger.held(*hold)?;
            let lock = Enclosing {
                request,
                key,
                mode,
                session,
            };
            Some((held_at, lock))
        });
        holds.collect()
    }

    /// Whether a request that has just begun to wait waits for a caller of this process that waits for it, by way of other
    /// handles. What one ledger alone knows of, it has found itself.
    pub(super) fn closes_ring(self: &Rc<Self>, request: RequestId) -> bool {
        if self.arbiters.upgrade().is_none_or(|all| all.are_alone()) {
            return false;
        }
        let Some((target, mut holds)) = self.register().ledger.waits_for_holders(request) else {
            return false;
        };
        let mut held: Vec<Awaited> = holds
            .drain(..)
            .map(|key| (Rc::clone(self), key, HeldUpBy::Holders))
            .collect();
        let elsewhere = self.holds_elsewhere(request).into_iter();
        held.extend(elsewhere.map(|(held_at, lock)| (held_at, lock.key, HeldUpBy::Holders)));
        let is_target =
            |found: &LockHeldUp| Rc::ptr_eq(&found.held_at, self) && found.lock.key == target;
        locks_held_up(held).iter().any(is_target)
    }
}
