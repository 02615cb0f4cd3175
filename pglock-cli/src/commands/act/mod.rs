//! Acting on sessions: what is shown is what is hit.

mod find;
pub(crate) mod free;
pub(crate) mod hit;
pub(crate) mod victims;
