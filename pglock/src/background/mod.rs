//! pglock's own thread, which runs futures in the background, and waiting for a future on any other thread.

mod block_on;
mod owner_process;
mod thread;

pub(crate) use block_on::block_on;
pub(crate) use owner_process::OwnerProcess;
pub(crate) use thread::{Handle, ask, run, running, service, spawn};
