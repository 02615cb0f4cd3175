//! The lock service: locks on pglock's own sessions.
//!
//! The engine runs on pglock's thread. Callers send it tasks and wait for the answers on channels that need no runtime,
//! so a blocking call works inside a runtime and an async call on any executor. When a caller goes away, the clean-up
//! is done here.

mod acquire;
mod cancel;
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

/// Requests a lock from the engine. Dropping the future cancels the wait in the server.
pub(crate) async fn acquire(request: Request) -> Result<HeldLock, Error> {
    let id = request.lock.id.clone();
    let (reply, answer) = oneshot::channel();
    background::run(move || acquire::begin(&State::here(), request, reply))?;
    answer
        .await
        .unwrap_or_else(|_| Err(Error::engine_ended(&id)))
}

/// Waits until no lock is kept after its call. It does not start pglock's thread.
pub(crate) async fn drain() {
    let Some(thread) = background::running() else {
        return;
    };
    // If the thread ends, its sessions end too, and with them the locks.
    let _ = thread
        .ask(|| async { State::here().nothing_kept().await })
        .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pglock_tests::{BOUND, database, wait_until};

    use crate::background;
    use crate::database::Database;

    #[test]
    fn a_thread_that_ends_is_lost_for_holders_an_error_for_waiters_and_followed_by_another() {
        let db = database();
        let here = Database::builder(db.url()).build().unwrap();
        let lock = || crate::advisory("engine").using(&here);
        let guard = lock().acquire().unwrap();
        let mut client = db.connect();
        let section = crate::prioritize().using(&here).on(&mut client).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock().timeout(BOUND).acquire());
            db.wait_for_waiters(1);
            background::run(|| panic!("a test asked for it")).unwrap();
            assert!(waiter.join().unwrap().unwrap_err().is_connect());
        });
        wait_until("the guard knows", Duration::from_secs(1), || {
            guard.check().is_err()
        });
        assert!(guard.release().unwrap_err().is_lost());
        let error = section.finish().unwrap_err();
        assert!(error.is_connect(), "{error}");
        db.wait_for_no_locks();
        lock().acquire().unwrap().release().unwrap();
    }
}
