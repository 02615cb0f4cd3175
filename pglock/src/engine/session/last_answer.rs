//! When the server last answered on a connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::Failure;

/// Atomic only because the futures of a wire are `Send`.
pub(super) struct LastAnswer {
    opened: Instant,
    after_millis: AtomicU64,
}

impl LastAnswer {
    /// Of a connection that was opened just now, which takes an answer.
    pub(super) fn now() -> Self {
        Self {
            opened: Instant::now(),
            after_millis: AtomicU64::new(0),
        }
    }

    /// Notes an answer, if this is one and not the end of the connection.
    pub(super) fn note<T>(&self, answer: &Result<T, Failure>) {
        if answer.as_ref().is_err_and(|failure| failure.session_ended) {
            return;
        }
        let after = self.opened.elapsed().as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.after_millis.store(after, Ordering::Relaxed);
    }

    pub(super) fn at(&self) -> Instant {
        self.opened + Duration::from_millis(self.after_millis.load(Ordering::Relaxed))
    }
}
