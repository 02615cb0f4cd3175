//! The options of attributes: how each is read, what it refuses, and what it becomes.

pub(crate) mod client;
pub(crate) mod duration;
pub(crate) mod lock_id;
pub(crate) mod on_error;
pub(crate) mod parse;
pub(crate) mod shared;
pub(crate) mod suggest;
mod template;
