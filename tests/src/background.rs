//! Work that is waited for with a bound.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Work on a thread of its own. Where it hangs, who waits for it fails, and doesn't hang with it, as one would who
/// joins a thread.
#[derive(Debug)]
#[must_use = "what it says is heard by finish()"]
pub struct Background<T> {
    what: String,
    result: Receiver<T>,
}

/// Starts `work`; `what` is what is waited for, as in [`wait_until`](crate::wait_until).
pub fn background<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Background<T> {
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        // Who waited may have given up.
        let _ = sender.send(work());
    });
    Background {
        what: what.to_owned(),
        result,
    }
}

impl<T> Background<T> {
    /// Waits for its result, and panics when there is none within `bound`.
    #[track_caller]
    #[allow(clippy::must_use_candidate)] // Some work has no result.
    pub fn finish(self, bound: Duration) -> T {
        let what = self.what;
        match self.result.recv_timeout(bound) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("not so within {bound:?}: {what}"),
            Err(RecvTimeoutError::Disconnected) => panic!("its thread panicked: {what}"),
        }
    }
}
