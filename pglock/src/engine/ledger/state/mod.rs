//! What the ledger remembers: plain data that knows no events.

pub(super) mod caller;
pub(super) mod key;
pub(super) mod session;
pub(super) mod slab;
pub(super) mod wait;
