//! The names by which callers and the engine refer to locks, sessions and sections.

use std::sync::atomic::{AtomicU64, Ordering};

/// A granted lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(pub(super) u64);

/// A session of pglock's own. Never reused in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
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

/// The locks of the enclosing calls. Waiting on their session lets Postgres see a deadlock that includes them.
pub(crate) struct EnclosingLocks {
    /// The session of the innermost one.
    pub(crate) session: SessionId,
    /// All of them.
    pub(crate) holds: Vec<HoldId>,
}
