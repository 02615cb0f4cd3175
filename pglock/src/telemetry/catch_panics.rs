//! Subscribers and recorders are the user's: what they do must not reach pglock.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Reports something, and goes on if a subscriber or a recorder panics.
///
/// A panic would end what is reported: a lock that was just granted would be held by nobody, on a session that is used
/// again, and a watcher would watch no more.
pub(super) fn catch_panics<R>(emit: impl FnOnce() -> R) -> Option<R> {
    // What is theirs is for them to mend, and nothing of ours is changed in there.
    catch_unwind(AssertUnwindSafe(emit)).ok()
}
