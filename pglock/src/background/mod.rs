//! pglock's own thread, which runs futures in the background, and `block_on` for all other threads.

mod block_on;
mod growing_list;
mod inherited;
mod jitter;
mod join_all;
mod owner_process;
mod per_process;
mod thread;

pub(crate) use block_on::{block_on, may_block_here};
pub(crate) use growing_list::GrowingList;
pub(crate) use inherited::{Inherited, close_copies_in_child, note as note_inherited};
pub(crate) use jitter::{any_number, jittered};
pub(crate) use join_all::join_all;
pub(crate) use owner_process::OwnerProcess;
pub(crate) use per_process::PerProcess;
pub(crate) use thread::{Handle, run, running, service, spawn, start, thread_ended};
