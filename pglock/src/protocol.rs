//! The conversations that take and release a lock, written once for every connection.

use crate::error::{Error, Holder};
use crate::key::{Key, LockId};
use crate::options::{Mode, Wait};
use crate::outcome::{self, Acquired, Released};
use crate::sql;
use crate::wire::{Failure, Wire};

/// How an acquire ended, with nothing left behind where it wasn't granted.
#[derive(Debug)]
pub(crate) enum Outcome {
    Granted,
    Busy,
    InTransaction,
    Failed(Failure),
    /// What was left behind could not be released: the session must not be used again.
    Doubtful(Failure),
}

/// Takes a session lock.
pub(crate) async fn acquire_session(
    wire: &mut impl Wire,
    key: Key,
    mode: Mode,
    wait: Wait,
) -> Outcome {
    let answer = wire
        .simple_query(&sql::acquire_session(key, mode, wait))
        .await;
    match outcome::of_acquire(wait, answer) {
        Acquired::Granted => Outcome::Granted,
        Acquired::Busy => Outcome::Busy,
        Acquired::InTransaction => Outcome::InTransaction,
        Acquired::Unknown(failure) if failure.session_ended => Outcome::Failed(failure),
        Acquired::Unknown(failure) => {
            match wire.simple_query(&sql::release_leftover(key, mode)).await {
                Ok(_) => Outcome::Failed(failure),
                Err(again) if again.session_ended => Outcome::Failed(failure),
                Err(_) => Outcome::Doubtful(failure),
            }
        }
    }
}

/// Releases a session lock. A transaction that was left open or aborted on the session is rolled back first: an
/// unlock before its end would let the next holder see data without it.
pub(crate) async fn release_session(wire: &mut impl Wire, key: Key, mode: Mode) -> Released {
    match outcome::of_release(wire.simple_query(&sql::release_session(key, mode)).await) {
        Released::InTransaction => {
            if let Err(failure) = wire.simple_query("ROLLBACK").await {
                return Released::Failed(failure);
            }
            outcome::of_release(
                wire.simple_query(&sql::release_session_anywhere(key, mode))
                    .await,
            )
        }
        released => released,
    }
}

/// Takes a transaction lock in a transaction of our own, which a failure ends.
pub(crate) async fn begin_and_acquire(
    wire: &mut impl Wire,
    key: Key,
    mode: Mode,
    wait: Wait,
    server: sql::Server,
) -> Outcome {
    let answer = wire
        .simple_query(&sql::begin_and_acquire(key, mode, wait, server))
        .await;
    let outcome = match outcome::of_acquire(wait, answer) {
        Acquired::Granted => return Outcome::Granted,
        Acquired::Busy => Outcome::Busy,
        Acquired::InTransaction => Outcome::InTransaction,
        Acquired::Unknown(failure) if failure.session_ended => return Outcome::Failed(failure),
        Acquired::Unknown(failure) => Outcome::Failed(failure),
    };
    match (wire.simple_query("ROLLBACK").await, outcome) {
        (Err(failure), _) if !failure.session_ended => Outcome::Doubtful(failure),
        (_, outcome) => outcome,
    }
}

/// Takes a transaction lock in the caller's transaction, which can go on whatever the outcome.
pub(crate) async fn acquire_in_transaction(
    wire: &mut impl Wire,
    key: Key,
    mode: Mode,
    wait: Wait,
) -> Outcome {
    let answer = wire
        .simple_query(&sql::acquire_in_transaction(key, mode, wait))
        .await;
    let outcome = match outcome::of_acquire(wait, answer) {
        Acquired::Granted => return Outcome::Granted,
        Acquired::Busy if wait == Wait::Try => return Outcome::Busy,
        Acquired::Busy => Outcome::Busy,
        // Not ours to mend: the caller's transaction was aborted before.
        Acquired::InTransaction => return Outcome::InTransaction,
        Acquired::Unknown(failure) => Outcome::Failed(failure),
    };
    // A failure here is one of the transaction's, and its next statement tells it.
    let _ = wire.simple_query(sql::UNDO_ACQUIRE_IN_TRANSACTION).await;
    outcome
}

/// Who has the lock; `None` when nobody has it any more, or when it can't be seen.
pub(crate) async fn holder(wire: &mut impl Wire, key: Key) -> Option<Holder> {
    let rows = wire.simple_query(&sql::holder(key)).await.ok()?;
    outcome::of_holder(&rows)
}

/// What a release means to the caller.
pub(crate) fn explain_release(id: &LockId, released: Released) -> Result<(), Error> {
    match released {
        Released::Yes => Ok(()),
        Released::NotHeld => Err(Error::lost(
            id,
            "its session no longer held it when it was released",
        )),
        Released::InTransaction => Err(Error::lost(
            id,
            "its session was in a transaction that could not be ended",
        )),
        Released::Failed(failure) => Err(Error::lost_by(id, "its release failed", failure)),
    }
}
