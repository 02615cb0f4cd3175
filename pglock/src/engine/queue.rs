//! Whose turn it is in this process to wait for a key in the server.
//!
//! Each waiter in the server costs it: it runs a deadlock check under all lock partitions, and pins the vacuum
//! horizon. So callers that hold nothing wait here, first come first served, and one of them in the server's queue.

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
    /// Waits for the turn on `key`, in order of arrival.
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
        // A semaphore of ours is never closed; without a permit the waiter would only lose its place.
        let permit = queue.acquire_owned().await.ok();
        QueuePermit {
            _permit: permit,
            _place: place,
        }
    }

    /// Notes that a release of `key` is under way, until the note is dropped.
    pub(super) fn begin_release(self: &Rc<Self>, key: Key) -> PendingRelease {
        *self.releases.borrow_mut().entry(key).or_default() += 1;
        PendingRelease {
            queues: Rc::clone(self),
            key,
        }
    }

    /// Waits until no release of `key` by this process is under way, so that who drops a guard and then tries for
    /// the lock doesn't find its own.
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

/// The right to wait in the server; dropping it passes it on.
pub(super) struct QueuePermit {
    // Dropped first, so that the queue is no longer in use when `_place` looks.
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place,
}

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
