//! Everything that users call by hand.

pub(crate) mod advisory;
pub(crate) mod all;
pub(crate) mod catalog;
pub(crate) mod database;
pub(crate) mod drain;
pub(crate) mod leader;
pub(crate) mod limit;
pub(crate) mod locks;
pub(crate) mod prioritize;
pub(crate) mod retry;
pub(crate) mod tables;
#[cfg(feature = "testing")]
pub mod testing;
pub(crate) mod timeout;
pub(crate) mod wait_graph;
