//! Waiting for a future on a thread, inside a runtime or not.
//!
//! The runtimes' own ways refuse to block a thread that runs async code; a blocking function that is called there
//! blocks all the same, as `std::sync::Mutex` does.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // Returns early now and then; the next poll finds out.
            Poll::Pending => std::thread::park(),
        }
    }
}
