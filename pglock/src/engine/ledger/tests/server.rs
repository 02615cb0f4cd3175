//! Advisory locks as Postgres grants them.

use std::collections::{BTreeMap, VecDeque};

use crate::model::options::AdvisoryMode;

pub(super) type Backend = u32;

#[derive(Clone, Default, Hash, PartialEq, Eq)]
pub(super) struct Server {
    locks: BTreeMap<i64, LockState>,
}

#[derive(Clone, Default, Hash, PartialEq, Eq)]
struct LockState {
    /// How often each backend has it, exclusive and shared.
    held: BTreeMap<Backend, [u32; 2]>,
    waiting: VecDeque<(Backend, AdvisoryMode)>,
}

fn conflict(one: AdvisoryMode, other: AdvisoryMode) -> bool {
    one == AdvisoryMode::Exclusive || other == AdvisoryMode::Exclusive
}

impl LockState {
    fn is_held_by_others(&self, backend: Backend, mode: AdvisoryMode) -> bool {
        let conflicts =
            |counts: &[u32; 2]| counts[0] > 0 || mode == AdvisoryMode::Exclusive && counts[1] > 0;
        let mut held = self.held.iter();
        held.any(|(other, counts)| *other != backend && conflicts(counts))
    }

    /// A backend that has the lock in that mode is granted it once more, whoever waits.
    fn can_have(&self, backend: Backend, mode: AdvisoryMode) -> bool {
        let has_it = self
            .held
            .get(&backend)
            .is_some_and(|counts| counts[mode as usize] > 0);
        let mut waiting = self.waiting.iter();
        !self.is_held_by_others(backend, mode)
            && (has_it || !waiting.any(|(_, waits_for)| conflict(mode, *waits_for)))
    }

    fn grant(&mut self, backend: Backend, mode: AdvisoryMode) {
        self.held.entry(backend).or_default()[mode as usize] += 1;
    }

    fn wake(&mut self) {
        let mut ahead = VecDeque::new();
        for (backend, mode) in std::mem::take(&mut self.waiting) {
            let blocked = ahead.iter().any(|(_, other)| conflict(mode, *other));
            if blocked || self.is_held_by_others(backend, mode) {
                ahead.push_back((backend, mode));
            } else {
                self.grant(backend, mode);
            }
        }
        self.waiting = ahead;
    }
}

impl Server {
    fn change<T>(&mut self, key: i64, change: impl FnOnce(&mut LockState) -> T) -> T {
        let lock = self.locks.entry(key).or_default();
        let result = change(lock);
        lock.wake();
        lock.held.retain(|_, counts| *counts != [0, 0]);
        if lock.held.is_empty() && lock.waiting.is_empty() {
            self.locks.remove(&key);
        }
        result
    }

    pub(super) fn try_lock(&mut self, backend: Backend, key: i64, mode: AdvisoryMode) -> bool {
        self.change(key, |lock| {
            let granted = lock.can_have(backend, mode);
            if granted {
                lock.grant(backend, mode);
            }
            granted
        })
    }

    pub(super) fn probe(&mut self, backend: Backend, key: i64) -> bool {
        let lock = self.locks.get(&key);
        lock.is_none_or(|lock| lock.can_have(backend, AdvisoryMode::Shared))
    }

    pub(super) fn unlock(&mut self, backend: Backend, key: i64, mode: AdvisoryMode) -> bool {
        self.change(key, |lock| {
            let counts = lock.held.entry(backend).or_default();
            let held = counts[mode as usize] > 0;
            counts[mode as usize] -= u32::from(held);
            held
        })
    }

    /// Grants it at once, or queues the backend.
    pub(super) fn wait(&mut self, backend: Backend, key: i64, mode: AdvisoryMode) {
        self.change(key, |lock| {
            if lock.can_have(backend, mode) {
                lock.grant(backend, mode);
            } else {
                lock.waiting.push_back((backend, mode));
            }
        });
    }

    pub(super) fn is_waiting(&self, backend: Backend) -> bool {
        let mut locks = self.locks.values();
        locks.any(|lock| lock.waiting.iter().any(|(waiting, _)| *waiting == backend))
    }

    /// Ends a wait, and says whether there was one.
    pub(super) fn cancel(&mut self, backend: Backend) -> bool {
        let waited = self.is_waiting(backend);
        for key in self.locks.keys().copied().collect::<Vec<_>>() {
            self.change(key, |lock| {
                lock.waiting.retain(|(waiting, _)| *waiting != backend);
            });
        }
        waited
    }

    pub(super) fn kill(&mut self, backend: Backend) {
        self.cancel(backend);
        for key in self.locks.keys().copied().collect::<Vec<_>>() {
            self.change(key, |lock| lock.held.remove(&backend));
        }
    }

    /// How often a backend has a lock, exclusive and shared.
    pub(super) fn held(&self, backend: Backend, key: i64) -> [u32; 2] {
        let lock = self.locks.get(&key);
        let counts = lock.and_then(|lock| lock.held.get(&backend));
        counts.copied().unwrap_or_default()
    }

    pub(super) fn keys(&self, backend: Backend) -> Vec<i64> {
        let locks = self.locks.iter();
        let held = locks.filter(|(_, lock)| lock.held.contains_key(&backend));
        held.map(|(key, _)| *key).collect()
    }
}
