//! Subscribers and recorders belong to the user: their panics must not reach pglock.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a subscriber or a recorder, and catches its panics.
///
/// A panic would unwind what is reported: a request for a lock would fail, a lock that was just granted would have no
/// holder, on a session that is reused, and a watcher would stop watching.
pub(super) fn catch_panics<R>(emit: impl FnOnce() -> R) -> Option<R> {
    // Nothing of pglock's is modified inside `emit`, so a panic cannot leave it half-changed.
    catch_unwind(AssertUnwindSafe(emit)).ok()
}
