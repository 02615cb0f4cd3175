//! The names by which holders, callers and the engine speak of the same thing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names a granted lock between its holder and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(pub(super) u64);

/// Names a session of pglock's own; never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names a prioritized section; never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SectionId(u64);

impl SectionId {
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether a session is open. What it held is gone when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    Open,
    Closed { reason: String },
}

/// The locks of the calls around one: a wait on their session lets Postgres see a deadlock that includes them.
pub(crate) struct EnclosingLocks {
    /// The session of the innermost.
    pub(crate) session: SessionId,
    /// All of them.
    pub(crate) holds: Vec<HoldId>,
}
