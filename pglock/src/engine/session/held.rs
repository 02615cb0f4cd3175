//! The locks that one session holds.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::ids::HoldId;
use crate::model::lock_id::{Key, LockId};
use crate::model::lock_request::LockSpec;
use crate::sql;
use crate::telemetry::HoldRecord;

#[derive(Default)]
pub(in crate::engine) struct HeldLocks(RefCell<Vec<SessionLock>>);

struct SessionLock {
    id: HoldId,
    key: Key,
    lock: LockId,
    since: Instant,
    record: Arc<HoldRecord>,
}

impl HeldLocks {
    pub(in crate::engine) fn add(&self, id: HoldId, lock: &LockSpec, record: Arc<HoldRecord>) {
        self.0.borrow_mut().push(SessionLock {
            id,
            key: lock.key,
            lock: lock.id.clone(),
            since: Instant::now(),
            record,
        });
    }

    /// Removes a lock. Its record reports how it ends.
    pub(in crate::engine) fn remove(&self, id: HoldId) -> Option<Arc<HoldRecord>> {
        let mut holds = self.0.borrow_mut();
        let at = holds.iter().position(|held| held.id == id)?;
        Some(holds.swap_remove(at).record)
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(in crate::engine) fn all(&self, holds: impl Fn(HoldId, Key) -> bool) -> bool {
        self.0.borrow().iter().all(|held| holds(held.id, held.key))
    }

    pub(in crate::engine) fn keys(&self) -> Vec<Key> {
        self.0.borrow().iter().map(|held| held.key).collect()
    }

    /// A statement that does nothing, and shows other sessions which locks have been held for how long.
    pub(in crate::engine) fn heartbeat(&self) -> String {
        let holds = self.0.borrow();
        let held = holds.iter().map(|held| (&held.lock, held.since.elapsed()));
        sql::comment::holding(held.collect())
    }

    /// Reports each lock as lost.
    pub(in crate::engine) fn lost(&self, why: &str) {
        for held in self.0.borrow().iter() {
            held.record.lost(&why);
        }
    }
}
