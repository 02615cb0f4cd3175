//! Waiting for a state, with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// How long tests wait for what should be so in milliseconds: generous, for slow machines.
pub const BOUND: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(2);

/// Looks every few milliseconds until `so` is true, and panics with `what` when it still isn't
/// after `bound`.
#[track_caller]
pub fn wait_until(what: &str, bound: Duration, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < bound, "not so within {bound:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Like [`wait_until`], but lets the other tasks of the tokio runtime run in between: needed where
/// what is waited for is done by a task on the same thread.
pub async fn wait_until_async(what: &str, bound: Duration, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < bound, "not so within {bound:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
