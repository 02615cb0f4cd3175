//! What the server's answer means for the requested lock. Nothing here does IO.

use std::time::{Duration, SystemTime};

use tokio_postgres::error::SqlState;

use crate::error::{Failure, Found, Holder};
use crate::model::lock_id::Key;
use crate::model::options::WaitPolicy;
use crate::sql;
use crate::sql::Rows;
use crate::sql::holder::HolderColumn;

/// What the answer to an acquire says.
#[derive(Debug)]
pub(crate) enum AcquireReply {
    Granted,
    Busy,
    /// The session is in a transaction; nothing was done.
    InTransaction,
    /// The lock may be held, so it has to be released.
    Unknown(Failure),
}

pub(crate) fn of_acquire(wait: WaitPolicy, answer: Result<Rows, Failure>) -> AcquireReply {
    match answer {
        Ok(rows) if rows.is_empty() => AcquireReply::InTransaction,
        Ok(rows) => match (wait, rows.last_bool()) {
            (WaitPolicy::NoWait, Some(false)) => AcquireReply::Busy,
            (WaitPolicy::NoWait, None) => AcquireReply::Unknown(Failure::unexpected_answer()),
            (WaitPolicy::NoWait, Some(true)) | (WaitPolicy::Millis(_) | WaitPolicy::Block, _) => {
                AcquireReply::Granted
            }
        },
        Err(failure) if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            AcquireReply::InTransaction
        }
        Err(failure) if failure.is(&SqlState::LOCK_NOT_AVAILABLE) => AcquireReply::Busy,
        Err(failure) => AcquireReply::Unknown(failure),
    }
}

/// What the answer to a release says.
#[derive(Debug)]
pub(crate) enum Released {
    Yes,
    /// The session did not hold it.
    NotHeld,
    /// A transaction of the caller's is open or aborted; nothing was done.
    InTransaction {
        aborted: bool,
    },
    /// A pooler has moved our session to another backend; nothing was done.
    WrongBackend,
    /// It was released, after a transaction that the caller had left open was rolled back.
    AndRolledBack,
    Failed(Failure),
}

pub(crate) fn of_release(answer: Result<Rows, Failure>) -> Released {
    match answer {
        Ok(rows) if rows.is_empty() => Released::InTransaction { aborted: false },
        Ok(rows) => match rows.last_bool() {
            Some(true) => Released::Yes,
            Some(false) => Released::NotHeld,
            None => Released::Failed(Failure::unexpected_answer()),
        },
        Err(failure) if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            Released::InTransaction { aborted: true }
        }
        Err(failure) => Released::Failed(failure),
    }
}

/// Like [`of_release`]; `rolled_back` says whether an open transaction was rolled back before the release.
pub(crate) fn of_release_after_rollback(
    rolled_back: bool,
    answer: Result<Rows, Failure>,
) -> Released {
    match of_release(answer) {
        Released::Yes if rolled_back => Released::AndRolledBack,
        released => released,
    }
}

/// Who blocks the lock with this key, from the row of [`crate::sql::holder`]; without a key, of a table.
///
/// When it acquired the lock is known while it is idle after the statement that did so, and from pglock's heartbeats.
pub(crate) fn of_holder(rows: &Rows, key: Option<Key>) -> Found {
    let Some(row) = rows.first_row() else {
        return Found::Nobody;
    };
    let lossy = |column: HolderColumn| row.lossy(column as usize);
    let seconds =
        |column: HolderColumn| Duration::try_from_secs_f64(row.parsed(column as usize)?).ok();
    let query = lossy(HolderColumn::Statement);
    let named = query
        .iter()
        .flat_map(|query| sql::comment::read(query))
        .find(|lock| Some(lock.key) == key);
    let time = |column| SystemTime::UNIX_EPOCH.checked_add(seconds(column)?);
    let is_idle = row.is_true(HolderColumn::IsIdle as usize);
    let since = named.as_ref().and_then(|named| {
        let idle_since = is_idle.then(|| time(HolderColumn::StateChange)).flatten();
        named.since(time(HolderColumn::StatementStart), idle_since)
    });
    // Of both times the server's clock says how long ago they were told.
    let told = || seconds(HolderColumn::Now)?.checked_sub(seconds(HolderColumn::StatementStart)?);
    let kept = named.as_ref().and_then(|lock| lock.kept);
    let kept_for = kept.and_then(|kept| Some(kept.saturating_sub(told()?)));
    let lock_name = named.and_then(|lock| lock.name);
    let backend_type = row.text(HolderColumn::BackendType as usize);
    Found::Holder(Box::new(Holder {
        // A prepared transaction holds locks without a backend, so without a pid.
        pid: row.parsed(HolderColumn::Pid as usize).unwrap_or(0),
        queued: row.is_true(HolderColumn::IsQueued as usize),
        prepared: lossy(HolderColumn::Gid),
        backend_type: backend_type.map(|kind| kind.to_ascii_uppercase().replace(' ', "_")),
        application_name: lossy(HolderColumn::ApplicationName).unwrap_or_default(),
        user: lossy(HolderColumn::User).or_else(|| lossy(HolderColumn::Owner)),
        client_addr: row.parsed(HolderColumn::Address as usize),
        this_process: false,
        query,
        lock_name,
        since,
        // Both times are by the server's clock.
        held_for: since.and_then(|since| time(HolderColumn::Now)?.duration_since(since).ok()),
        kept_for,
    }))
}

/// Who blocks the lock, if the look-up itself failed.
pub(crate) fn of_failed_look_up(failure: &Failure) -> Found {
    if failure.is(&SqlState::INSUFFICIENT_PRIVILEGE) {
        Found::NotVisible
    } else {
        Found::Unknown
    }
}
