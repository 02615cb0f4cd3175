//! The locks that one session holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::ledger::HoldId;
use crate::engine::lock::DatabaseLock;
use crate::model::lock_id::Key;
use crate::sql;
use crate::sql::comment::ShownLock;
use crate::telemetry::HoldRecord;

#[derive(Default)]
pub(in crate::engine) struct HeldLocks(Mutex<HashMap<HoldId, SessionLock>>);

struct SessionLock {
    lock: Arc<DatabaseLock>,
    times: HoldTimes,
    record: Arc<HoldRecord>,
}

/// For how long a lock is held.
#[derive(Clone, Copy)]
pub(in crate::engine) struct HoldTimes {
    since: Instant,
    /// The end of `hold_at_least`, once the call has ended.
    kept_until: Option<Instant>,
}

impl HoldTimes {
    /// Of two who share the lock.
    pub(in crate::engine) fn and(self, other: Self) -> Self {
        let both = self.kept_until.zip(other.kept_until);
        Self {
            since: self.since.min(other.since),
            kept_until: both.map(|(one, other)| one.max(other)),
        }
    }

    pub(in crate::engine) fn held_for(self) -> Duration {
        self.since.elapsed()
    }

    /// For how long it will be kept; `None` while a call runs under it.
    pub(in crate::engine) fn kept_for(self) -> Option<Duration> {
        let until = self.kept_until?;
        Some(until.saturating_duration_since(Instant::now()))
    }
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
            times: HoldTimes {
                since: Instant::now(),
                kept_until: None,
            },
            record,
        };
        self.lock().insert(id, lock);
    }

    /// Removes a lock. Its record reports how it ends.
    pub(in crate::engine) fn remove(&self, id: HoldId) -> Option<Arc<HoldRecord>> {
        Some(self.lock().remove(&id)?.record)
    }

    /// The call under a lock has ended, and the lock is kept.
    pub(in crate::engine) fn keep(&self, id: HoldId, until: Instant) {
        if let Some(held) = self.lock().get_mut(&id) {
            held.times.kept_until = Some(until);
            held.record.keep();
        }
    }

    pub(in crate::engine) fn times(&self, id: HoldId) -> Option<HoldTimes> {
        Some(self.lock().get(&id)?.times)
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
        // Callers that share a lock have one in the server.
        let mut by_key = HashMap::with_capacity(holds.len());
        for held in holds.values() {
            by_key
                .entry(held.lock.key)
                .and_modify(|(_, times): &mut (_, HoldTimes)| *times = times.and(held.times))
                .or_insert((&held.lock.id, held.times));
        }
        let locks = by_key.into_values().map(|(id, times)| ShownLock {
            id,
            held: times.held_for(),
            kept: times.kept_for(),
        });
        sql::comment::holding(locks.collect())
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
