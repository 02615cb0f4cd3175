//! The wait queues of this process: for each key, one caller at a time waits in the server.
//!
//! Each waiter costs the server a deadlock check under all lock partitions, and holds back the vacuum horizon. So
//! callers that hold nothing queue here, first come, first served, and only the head waits in the server's queue.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::model::lock_id::Key;

#[derive(Default)]
pub(super) struct WaitQueues {
    queues: RefCell<HashMap<Key, Arc<Semaphore>>>,
    releases: RefCell<HashMap<Key, usize>>,
    released: Notify,
}

impl WaitQueues {
    /// Waits for the permit to wait for `key` in the server, in order of arrival.
    pub(super) async fn enter(self: Rc<Self>, key: Key) -> QueuePermit {
        let queue = Arc::clone(
            self.queues
                .borrow_mut()
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(1))),
        );
        let place = Place {
            queues: Rc::clone(&self),
            key,
        };
        // The semaphore is never closed. Even if it were, the caller would only lose its place.
        let permit = queue.acquire_owned().await.ok();
        QueuePermit {
            _permit: permit,
            _place: place,
        }
    }

    /// Records that a release of `key` is under way, until the returned value is dropped.
    pub(super) fn begin_release(self: &Rc<Self>, key: Key) -> PendingRelease {
        *self.releases.borrow_mut().entry(key).or_default() += 1;
        PendingRelease {
            queues: Rc::clone(self),
            key,
        }
    }

    /// Waits until this process has no release of `key` under way. Otherwise a caller that drops a guard and then tries
    /// for the lock could find its own lock busy.
    pub(super) async fn until_released(&self, key: Key) {
        loop {
            let released = self.released.notified();
            if !self.releases.borrow().contains_key(&key) {
                return;
            }
            released.await;
        }
    }
}

/// The right to wait for a key in the server. Dropping it passes it to the next caller.
pub(super) struct QueuePermit {
    // Dropped first: `_place` removes the queue only if nothing else uses it.
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place,
}

/// A place in the queue of a key. The last one that is dropped removes the queue.
struct Place {
    queues: Rc<WaitQueues>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.queues.queues.borrow_mut();
        if queues
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.key);
        }
    }
}

/// A release that is under way.
pub(super) struct PendingRelease {
    queues: Rc<WaitQueues>,
    key: Key,
}

impl Drop for PendingRelease {
    fn drop(&mut self) {
        let mut releases = self.queues.releases.borrow_mut();
        if let Some(count) = releases.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                releases.remove(&self.key);
            }
        }
        self.queues.released.notify_waiters();
    }
}
