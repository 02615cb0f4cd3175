//! The names by which callers and the engine refer to each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// A caller that waits for an answer. Chosen by the caller, so that it can go away before it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

impl Ticket {
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// A prioritized section. Never reused in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SectionId(u64);

impl SectionId {
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether a session is open. The locks of a closed one are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    Open,
    Closed { reason: String },
}
