//! The locks that one session holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::ledger::HoldId;
use crate::engine::lock::DatabaseLock;
use crate::model::lock_id::Key;
use crate::sql;
use crate::telemetry::HoldRecord;

#[derive(Default)]
pub(in crate::engine) struct HeldLocks(Mutex<HashMap<HoldId, SessionLock>>);

struct SessionLock {
    lock: Arc<DatabaseLock>,
    since: Instant,
    record: Arc<HoldRecord>,
}

impl HeldLocks {
    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, SessionLock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::engine) fn add(
        &self,
        id: HoldId,
        lock: &Arc<DatabaseLock>,
        record: Arc<HoldRecord>,
    ) {
        let lock = SessionLock {
            lock: Arc::clone(lock),
            since: Instant::now(),
            record,
        };
        self.lock().insert(id, lock);
    }

    /// Removes a lock. Its record reports how it ends.
    pub(in crate::engine) fn remove(&self, id: HoldId) -> Option<Arc<HoldRecord>> {
        Some(self.lock().remove(&id)?.record)
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(in crate::engine) fn keys(&self) -> Vec<Key> {
        self.lock().values().map(|held| held.lock.key).collect()
    }

    /// A statement that does nothing, and shows other sessions which locks have been held for how long.
    pub(in crate::engine) fn heartbeat(&self) -> String {
        let holds = self.lock();
        let held = holds.values();
        let held = held.map(|held| (&held.lock.id, held.since.elapsed()));
        sql::comment::holding(held.collect())
    }

    /// Reports each lock as lost.
    pub(in crate::engine) fn lost(&self, why: &str) {
        let records: Vec<_> = {
            let holds = self.lock();
            holds
                .values()
                .map(|held| Arc::clone(&held.record))
                .collect()
        };
        // That runs code of others, which may want to release a lock.
        for record in records {
            record.lost(&why);
        }
    }
}
