//! Commands of the caller's that run under a lock, or guarded.

mod child;
mod ending;
pub(crate) mod exec;

pub(crate) use child::{Child, Ended};
pub(crate) use ending::Ending;
