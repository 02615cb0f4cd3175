//! The lock service: locks on pglock's own sessions.
//!
//! The engine runs on pglock's thread. Callers send it tasks and wait for the answers on channels that need no runtime,
//! so a blocking call works inside a runtime and an async call on any executor. When a caller goes away, the clean-up
//! is done here.

mod after_grant;
mod arbiter;
mod asked;
mod borrow;
mod cancel;
mod heartbeat;
mod helper;
mod hold;
mod ids;
mod ledger;
mod lock;
pub(crate) mod pool;
mod register;
mod request;
pub(crate) mod section_waits;
mod session;
mod state;

use std::time::Duration;

use crate::background;
use crate::database::Database;
use crate::error::Error;
use crate::model::lock_id::Key;
use crate::model::lock_request::LockSpec;
use crate::model::permits::Permits;
use crate::sql::shared::permits::OtherNumber;
use crate::sql::shared::runs::RunBefore;

pub(crate) use borrow::{acquire, acquire_blocking, release, release_blocking};
pub(crate) use hold::{HeldLock, HoldWatch};
pub(crate) use ids::SectionId;
pub(crate) use ledger::HoldId;
pub(crate) use lock::{DatabaseLock, GrantRules, Purpose};
pub(crate) use request::{HoldElsewhere, Request};
pub(crate) use state::State;

/// Asks a database something on a session that could hold a lock.
pub(crate) async fn ping(database: Database) -> Result<(), Error> {
    let thread = background::start()?;
    let pinged = thread.ask(|| async move { State::here().pool(&database).ping().await });
    pinged
        .await
        .unwrap_or_else(|_| Err(background::thread_ended()))
}

/// A session that has a permit of a limit of the same name, but of another number of permits. Unknown is none.
pub(crate) async fn other_number(
    database: Database,
    limit: LockSpec,
    permits: Permits,
) -> Result<Option<OtherNumber>, Error> {
    let thread = background::start()?;
    let found = thread.ask(move || async move {
        let arbiter = State::here().arbiter(&database);
        #[cfg(feature = "testing")]
        if database.is_in_process() {
            return Ok(arbiter.other_number_here(&limit, permits));
        }
        arbiter.pool().other_number(&limit, permits).await
    });
    found
        .await
        .unwrap_or_else(|_| Err(background::thread_ended()))
}

/// How many of these locks somebody has. Unknown is none.
pub(crate) async fn count_held(database: Database, keys: Vec<Key>) -> Option<usize> {
    let thread = background::start().ok()?;
    let count = thread.ask(move || async move {
        let arbiter = State::here().arbiter(&database);
        #[cfg(feature = "testing")]
        if database.is_in_process() {
            return Some(arbiter.count_held_here(&keys));
        }
        arbiter.pool().count_held(&keys).await
    });
    count.await.ok().flatten()
}

/// Notes that a run under this lock begins; or else the run before, within the period.
pub(crate) async fn begin_run(
    database: Database,
    lock: LockSpec,
    period: Duration,
) -> Result<Option<RunBefore>, Error> {
    let thread = background::start()?;
    let begun = thread.ask(move || async move {
        let pool = State::here().pool(&database);
        pool.begin_run(&lock, period).await
    });
    begun
        .await
        .unwrap_or_else(|_| Err(background::thread_ended()))
}

/// A token for who has this lock.
pub(crate) async fn token(hold: &HeldLock) -> Result<u64, Error> {
    let pid = hold.backend_pid();
    let (database, lock) = (hold.lock.database.clone(), hold.lock.spec.clone());
    let thread = background::start()?;
    let token = thread.ask(move || async move {
        let pool = State::here().pool(&database);
        pool.token(&lock, pid).await
    });
    token
        .await
        .unwrap_or_else(|_| Err(background::thread_ended()))
}

/// Whether requests of this process wait for a lock of which the database has said that it is busy.
pub(crate) async fn is_in_line(lock: &DatabaseLock) -> bool {
    let Some(thread) = background::running() else {
        return false;
    };
    let (database, key) = (lock.database.clone(), lock.key);
    let is_in_line =
        thread.ask(move || async move { State::here().arbiter(&database).is_in_line(key) });
    is_in_line.await.unwrap_or(false)
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

/// Closes the sessions that nobody uses, of one database or of all. It does not start pglock's thread.
pub(crate) async fn close_idle(database: Option<Database>) {
    let Some(thread) = background::running() else {
        return;
    };
    let closed = thread.ask(|| async move { State::here().close_idle(database.as_ref()).await });
    // If the thread ends, its sessions end too.
    let _ = closed.await;
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
        let elsewhere = crate::advisory("elsewhere").on(&mut client);
        let mut client = elsewhere.acquire().unwrap();
        let section = crate::prioritize().using(&here).on(&mut client).unwrap();
        std::thread::scope(|scope| {
            let other_lock = crate::advisory("elsewhere").using(&here);
            let waiter = scope.spawn(|| other_lock.timeout(BOUND).acquire());
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
        client.release().unwrap();
        db.wait_for_no_locks();
        lock().acquire().unwrap().release().unwrap();
    }
}
