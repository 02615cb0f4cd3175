//! When something last happened on a session, which any thread may note.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Stamp {
    first: Instant,
    after_micros: AtomicU64,
}

impl Stamp {
    /// It has happened just now.
    pub(super) fn now() -> Self {
        Self {
            first: Instant::now(),
            after_micros: AtomicU64::new(0),
        }
    }

    /// It happens now.
    pub(super) fn renew(&self) {
        let after = self.first.elapsed().as_micros();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.after_micros.store(after, Ordering::Relaxed);
    }

    pub(super) fn at(&self) -> Instant {
        self.first + Duration::from_micros(self.after_micros.load(Ordering::Relaxed))
    }
}
