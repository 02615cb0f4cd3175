//! The lock service: locks on pglock's own sessions.
//!
//! All of it lives on pglock's thread. Callers send it tasks and wait for answers on channels that need no runtime, so
//! a blocking call works inside a runtime and an async one on any executor; a caller that goes away leaves the clean-up
//! here.

mod acquire;
mod heartbeat;
mod helper;
mod hold;
mod ids;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the sessions that carry out its orders come next")
)]
mod ledger;
mod lock;
pub(crate) mod pool;
mod queue;
mod release;
pub(crate) mod section_waits;
mod session;
mod state;

use tokio::sync::oneshot;

use crate::background;
use crate::error::Error;

pub(crate) use acquire::Request;
pub(crate) use hold::HeldLock;
pub(crate) use ids::{EnclosingLocks, SectionId};
pub(crate) use lock::DatabaseLock;
pub(crate) use state::State;

/// Asks the engine for a lock and waits for its answer; dropped before that, the wait is canceled in the server.
pub(crate) async fn acquire(request: Request) -> Result<HeldLock, Error> {
    let id = request.lock.id.clone();
    let (reply, answer) = oneshot::channel();
    background::run(move || acquire::begin(&State::here(), request, reply))?;
    answer
        .await
        .unwrap_or_else(|_| Err(Error::engine_ended(&id)))
}

/// Waits until no lock is kept after its call any more. It starts no thread.
pub(crate) async fn drain() {
    let Some(thread) = background::running() else {
        return;
    };
    // A thread that ends takes its sessions, and so the locks, with it.
    let _ = thread
        .ask(|| async { State::here().nothing_kept().await })
        .await;
}
