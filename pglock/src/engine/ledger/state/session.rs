//! The state of a session.

use std::collections::VecDeque;

use super::slab::Id;
use crate::engine::ledger::orders::Sent;

#[derive(Clone)]
pub(in crate::engine::ledger) struct SessionRecord {
    pub(in crate::engine::ledger) kind: SessionKind,
    /// The keys that it has in the server.
    pub(in crate::engine::ledger) held: Vec<Id>,
    /// Keys that it may have to unlock or confirm.
    pub(in crate::engine::ledger) ready: VecDeque<Id>,
    /// What it was sent, as long as answers are missing.
    pub(in crate::engine::ledger) batch: Vec<Sent>,
    pub(in crate::engine::ledger) unanswered: usize,
    /// The key that it waits for in the server.
    pub(in crate::engine::ledger) waiting: Option<Id>,
    /// Whether it is in the list of those that can be sent a batch.
    pub(in crate::engine::ledger) announced: bool,
    pub(in crate::engine::ledger) has_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::ledger) enum SessionKind {
    Shared,
    Helper,
    Wait,
    Own,
}

/// Sessions that are being opened, and since when.
#[derive(Clone, Default)]
pub(in crate::engine::ledger) struct Opening {
    pub(in crate::engine::ledger) shared: Option<u64>,
    pub(in crate::engine::ledger) helper: Option<u64>,
    /// Whether the active session is to have a successor.
    pub(in crate::engine::ledger) successor: bool,
}
