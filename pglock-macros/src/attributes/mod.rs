//! The attributes, one per file or folder.

pub(crate) mod advisory;
pub(crate) mod prioritize;
pub(crate) mod timeout;
