//! Blocks the current thread on a future, inside a runtime or not.
//!
//! The runtimes' own functions refuse to block a thread that runs async code. A blocking function of pglock's that is
//! called there blocks it all the same, as `std::sync::Mutex` does.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    static MUST_NOT_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that must not block: it would wait for work that it does itself, without end.
pub(super) fn forbid_blocking_here() {
    let _ = MUST_NOT_BLOCK.try_with(|must_not| must_not.set(true));
}

/// Whether this thread may wait for locks.
pub(crate) fn may_block_here() -> bool {
    // Where the thread ends and this is gone, it does no work any more.
    !MUST_NOT_BLOCK.try_with(Cell::get).unwrap_or(false)
}

/// What a blocked thread waits for.
///
/// Not `thread::park`: the token of that belongs to the thread's owner. An executor whose future makes a blocking call may
/// have been woken already, and would wait without end for the wake-up that the call had taken.
#[derive(Default)]
struct Flag {
    is_set: Mutex<bool>,
    was_set: Condvar,
}

impl Flag {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is set, and takes it back.
    fn wait(&self) {
        let waited = self.was_set.wait_while(self.lock(), |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.lock() = true;
        self.was_set.notify_one();
    }
}

/// Waits until the future completes.
///
/// # Panics
///
/// If it has to wait on pglock's own thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let flag = Arc::<Flag>::default();
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                assert!(
                    may_block_here(),
                    "pglock's own thread cannot wait for a lock, which a subscriber of spans or a recorder of metrics has requested; send that work to another thread",
                );
                flag.wait();
            }
        }
    }
}
