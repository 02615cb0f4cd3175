//! What runs on sessions that many locks share.

pub(crate) mod batch;
pub(crate) mod deadlock;
pub(crate) mod permits;
pub(crate) mod runs;
pub(crate) mod waits;
