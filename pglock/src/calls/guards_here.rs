//! Which guards are on this thread, as far as that can be known.
//!
//! A guard is a value, and can be moved without anybody noticing. It counts as being where it was acquired or last used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::engine::{DatabaseLock, HeldLock};
use crate::model::lock_id::Key;

thread_local! {
    static GUARDED: RefCell<GuardsByKey> = RefCell::default();
    static THIS_THREAD: u64 = {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

/// A lock that is held by a guard.
pub(crate) struct Guarded {
    hold: HeldLock,
    /// The thread that used it last; 0 for one that was about to end.
    thread: AtomicU64,
}

impl Deref for Guarded {
    type Target = HeldLock;

    fn deref(&self) -> &HeldLock {
        &self.hold
    }
}

impl Guarded {
    pub(crate) fn new(hold: HeldLock) -> Arc<Self> {
        let guarded = Arc::new(Self {
            hold,
            thread: AtomicU64::new(0),
        });
        guarded.is_used_here();
        guarded
    }

    /// Notes that this thread has it.
    pub(crate) fn is_used_here(self: &Arc<Self>) {
        let here = this_thread();
        if self.thread.swap(here, Ordering::Relaxed) == here {
            return;
        }
        // Where the thread ends, it is forgotten.
        let _ = GUARDED.try_with(|guarded| {
            guarded.borrow_mut().add(self);
        });
    }
}

/// By key, since a thread may hold thousands.
#[derive(Default)]
struct GuardsByKey {
    by_key: HashMap<Key, Vec<Weak<Guarded>>>,
    /// Beyond so many keys those are forgotten whose guards are gone.
    purge_above: usize,
}

impl GuardsByKey {
    fn add(&mut self, guarded: &Arc<Guarded>) {
        let of_key = self.by_key.entry(guarded.hold.lock.key).or_default();
        of_key.retain(is_there);
        // One is the rule.
        of_key.reserve_exact(1);
        of_key.push(Arc::downgrade(guarded));
        if self.by_key.len() > self.purge_above {
            self.by_key.retain(|_, of_key| of_key.iter().any(is_there));
            self.purge_above = 2 * self.by_key.len();
        }
    }
}

fn is_there(guarded: &Weak<Guarded>) -> bool {
    guarded.strong_count() > 0
}

fn this_thread() -> u64 {
    THIS_THREAD.try_with(|it| *it).unwrap_or(0)
}

/// Whether a guard that was last used on this thread holds a lock that `lock` would wait for. Lost locks do not count.
pub(crate) fn hold_what_keeps(lock: &DatabaseLock) -> bool {
    let guarded = GUARDED.try_with(|guarded| {
        let guarded = guarded.borrow();
        let of_key = guarded.by_key.get(&lock.key).into_iter().flatten();
        of_key.filter_map(Weak::upgrade).collect::<Vec<_>>()
    });
    let here = this_thread();
    guarded.unwrap_or_default().iter().any(|it| {
        it.thread.load(Ordering::Relaxed) == here
            && lock.waits_for(&it.lock)
            && it.check_session().is_ok()
    })
}
