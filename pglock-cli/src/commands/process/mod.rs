//! Commands of the caller's that run under a lock, or guarded.

mod child;
pub(crate) mod exec;

pub(crate) use child::{Child, Ended};
