//! What a forked child inherits and has to close: while it has copies of its parent's sockets, the server takes the parent
//! for alive, and keeps the locks of one that is not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};

use super::growing_list::GrowingList;

/// Something of which a fork copies the descriptor.
pub(crate) trait Inherited: Send + Sync {
    /// Closes the copy of this process, without a word to the other side, if another thread was not using it at the fork.
    fn close_copy(&self);
}

/// What each process has open.
static OPEN: GrowingList<Opened> = GrowingList::new();

/// The process that has last opened something, or looked whether it is a child; zero: none.
static SEEN: AtomicU32 = AtomicU32::new(0);

struct Opened {
    process: u32,
    list: Mutex<Vec<Weak<dyn Inherited>>>,
}

/// Notes what this process has opened, for its children.
pub(crate) fn note<T: Inherited + 'static>(opened: &Arc<T>) {
    let process = std::process::id();
    SEEN.store(process, Ordering::Relaxed);
    let here = OPEN.find_or_add(
        |it| it.process == process,
        || Opened {
            process,
            list: Mutex::default(),
        },
    );
    let mut list = here.list.lock().unwrap_or_else(PoisonError::into_inner);
    list.retain(|it| it.strong_count() > 0);
    let opened: Weak<T> = Arc::downgrade(opened);
    list.push(opened);
}

/// Has a process that is a child of one that has opened something close its copies.
pub(crate) fn close_copies_in_child() {
    let process = std::process::id();
    let seen = SEEN.load(Ordering::Relaxed);
    if seen != 0 && seen != process {
        SEEN.store(process, Ordering::Relaxed);
        close_copies();
    }
}

/// Closes the copies of what other processes have opened. Called wherever a process finds out that it is a child.
pub(super) fn close_copies() {
    let process = std::process::id();
    for others in OPEN.iter().filter(|it| it.process != process) {
        // One that another thread had locked at the fork stays so.
        let list = match others.list.try_lock() {
            Ok(mut list) => std::mem::take(&mut *list),
            Err(TryLockError::Poisoned(list)) => std::mem::take(&mut *list.into_inner()),
            Err(TryLockError::WouldBlock) => continue,
        };
        for inherited in list.iter().filter_map(Weak::upgrade) {
            inherited.close_copy();
        }
    }
}
