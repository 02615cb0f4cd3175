//! Blocks the current thread on a future, inside a runtime or not.
//!
//! The runtimes' own functions refuse to block a thread that runs async code. A blocking function of pglock's that is
//! called there blocks it all the same, as `std::sync::Mutex` does.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

thread_local! {
    static MUST_NOT_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that must not block: it would wait for work that it does itself, without end.
pub(super) fn forbid_blocking_here() {
    MUST_NOT_BLOCK.set(true);
}

/// Whether this thread may wait for locks.
pub(crate) fn may_block_here() -> bool {
    !MUST_NOT_BLOCK.get()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until the future completes.
///
/// # Panics
///
/// If it has to wait on pglock's own thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                assert!(
                    !MUST_NOT_BLOCK.get(),
                    "pglock's own thread cannot wait for a lock, which a subscriber of spans or a recorder of metrics has requested; send that work to another thread",
                );
                // It may return early; then the next poll is pending again.
                std::thread::park();
            }
        }
    }
}
