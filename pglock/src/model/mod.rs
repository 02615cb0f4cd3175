//! What a lock is: plain values, checked when they are made. Nothing here does IO.

pub(crate) mod backend;
pub(crate) mod foreign_keys;
pub(crate) mod hold_limits;
pub(crate) mod isolation;
pub(crate) mod liveness;
pub(crate) mod lock_id;
pub(crate) mod lock_request;
pub(crate) mod options;
pub(crate) mod permits;
#[cfg(feature = "serde")]
mod serialize;
pub(crate) mod skippable;
pub(crate) mod table;
