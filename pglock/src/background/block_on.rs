//! Waiting for a future on a thread, inside a runtime or not.
//!
//! The runtimes' own ways refuse to block a thread that runs async code; a blocking function that is called there
//! blocks all the same, as `std::sync::Mutex` does.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

thread_local! {
    static MUST_NOT_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Notes that who waits here waits for what this thread does, and so without end.
pub(super) fn forbid_blocking_here() {
    MUST_NOT_BLOCK.set(true);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// # Panics
///
/// When it would wait on pglock's own thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // Returns early now and then; the next poll finds out.
            Poll::Pending => {
                assert!(
                    !MUST_NOT_BLOCK.get(),
                    "pglock's own thread can't wait for a lock: a subscriber of spans or a recorder of metrics has asked for one; hand it on to another thread",
                );
                std::thread::park();
            }
        }
    }
}
