//! Acquiring and releasing locks: which statement follows which answer.

use std::fmt;
use std::time::Instant;

use tokio_postgres::error::SqlState;

use crate::error::{Error, Failure, Found};
use crate::model::lock_id::{Key, LockId};
use crate::model::lock_request::LockSpec;
use crate::model::options::{AdvisoryMode, OnBusy, WaitPolicy};
use crate::model::table::{TableMode, TableName};
use crate::sql;
use crate::sql::Rows;
use crate::telemetry;
use crate::wire::SimpleQuery;
use crate::wire::canceled::until_not_canceled;
use crate::wire::reply::{self, AcquireReply, Released};

/// How an acquire ended. Unless it was granted, nothing is left behind.
#[derive(Debug)]
pub(crate) enum AcquireOutcome {
    Granted,
    Busy,
    /// The caller's connection is in a transaction where none may be, or in an aborted one.
    InTransaction,
    /// A pooler has moved a session of pglock's own to another backend.
    WrongBackend,
    Failed(Failure),
    /// A lock may be left that could not be released: the session must not be used again.
    Broken(Failure),
}

/// Acquires a session lock by one statement. `own` is the backend of one of pglock's own sessions. Nobody else uses those, so a
/// transaction there means that a pooler has moved the session to another backend. On the caller's `own` is `None`, and `Busy`
/// may be the end of a slice: see [`acquire_in_slices`](crate::wire::slices::acquire_in_slices).
pub(crate) async fn acquire_session(
    wire: &mut impl SimpleQuery,
    lock: &LockSpec,
    wait: WaitPolicy,
    own: Option<i32>,
) -> AcquireOutcome {
    let answer = wire
        .simple_query_or_clean_up(&sql::advisory::acquire_session(lock, wait, own))
        .await;
    match reply::of_acquire(wait, answer) {
        AcquireReply::Granted => AcquireOutcome::Granted,
        AcquireReply::Busy => AcquireOutcome::Busy,
        AcquireReply::InTransaction if own.is_some() => AcquireOutcome::WrongBackend,
        AcquireReply::InTransaction => AcquireOutcome::InTransaction,
        AcquireReply::Unknown(failure) if failure.session_ended => AcquireOutcome::Failed(failure),
        AcquireReply::Unknown(failure) => {
            let released = match own {
                // Not repeated: if it was canceled after the unlock, it could release what the caller holds besides.
                None => {
                    let release = sql::advisory::release_leftover(lock.key, lock.mode);
                    wire.simple_query(&release).await
                }
                Some(pid) => {
                    let release = sql::advisory::release_own_leftover(lock.key, lock.mode, pid);
                    until_not_canceled(wire, &release).await
                }
            };
            match released {
                Ok(rows) if own.is_none() || rows.first_row().is_some_and(|row| row.is_true(0)) => {
                    AcquireOutcome::Failed(failure)
                }
                Err(again) if again.session_ended => AcquireOutcome::Failed(failure),
                Ok(_) | Err(_) => AcquireOutcome::Broken(failure),
            }
        }
    }
}

/// Releases a session lock on one of pglock's own sessions, whose backend is `pid`.
pub(crate) async fn release_own(
    wire: &mut impl SimpleQuery,
    key: Key,
    mode: AdvisoryMode,
    pid: i32,
) -> Released {
    let release = sql::advisory::release_own(key, mode, pid);
    match reply::of_release(wire.simple_query(&release).await) {
        Released::InTransaction { .. } => Released::WrongBackend,
        released => released,
    }
}

/// Releases a session lock. A transaction that the caller left open or aborted is rolled back first: the next holder would
/// not see its work if the lock were released before its end. The session keeps the `release_token`.
pub(crate) async fn release_session(
    wire: &mut impl SimpleQuery,
    key: Key,
    mode: AdvisoryMode,
    release_token: Option<u64>,
) -> Released {
    let release = sql::advisory::release_session(key, mode, release_token);
    match reply::of_release(wire.simple_query(&release).await) {
        Released::InTransaction { aborted } => {
            if let Err(failure) = wire.simple_query(sql::transaction::ROLLBACK).await {
                return Released::Failed(failure);
            }
            let release = sql::advisory::release_session_anywhere(key, mode, release_token);
            reply::of_release_after_rollback(!aborted, wire.simple_query(&release).await)
        }
        released => released,
    }
}

/// Acquires a transaction lock in a transaction of pglock's own, which is rolled back unless the lock is granted.
pub(crate) async fn begin_and_acquire(
    wire: &mut impl SimpleQuery,
    lock: &LockSpec,
    wait: WaitPolicy,
    server: sql::session::ServerFeatures,
) -> AcquireOutcome {
    let answer = wire
        .simple_query(&sql::transaction::begin_and_acquire(lock, wait, server))
        .await;
    let outcome = match reply::of_acquire(wait, answer) {
        AcquireReply::Granted => return AcquireOutcome::Granted,
        AcquireReply::Busy => AcquireOutcome::Busy,
        AcquireReply::InTransaction => AcquireOutcome::WrongBackend,
        AcquireReply::Unknown(failure) if failure.session_ended => {
            return AcquireOutcome::Failed(failure);
        }
        AcquireReply::Unknown(failure) => AcquireOutcome::Failed(failure),
    };
    let rolled_back = until_not_canceled(wire, sql::transaction::ROLLBACK).await;
    match (rolled_back, outcome) {
        (Err(rollback), AcquireOutcome::Failed(cause)) if !rollback.session_ended => {
            AcquireOutcome::Broken(cause)
        }
        (Err(rollback), _) if !rollback.session_ended => AcquireOutcome::Broken(rollback),
        (_, outcome) => outcome,
    }
}

/// Acquires a transaction lock in the caller's transaction, which stays usable whatever the outcome.
pub(crate) async fn acquire_in_transaction(
    wire: &mut impl SimpleQuery,
    lock: &LockSpec,
    wait: WaitPolicy,
) -> AcquireOutcome {
    let sql = sql::transaction::acquire_in_transaction(lock, wait);
    match in_transaction(wire, &sql, wait != WaitPolicy::NoWait).await {
        Ok(rows) if wait == WaitPolicy::NoWait && rows.last_bool() != Some(true) => {
            AcquireOutcome::Busy
        }
        Ok(_) => AcquireOutcome::Granted,
        Err(outcome) => outcome,
    }
}

/// Locks tables in the caller's transaction, which stays usable whatever the outcome.
pub(crate) async fn lock_tables(
    wire: &mut impl SimpleQuery,
    tables: &[TableName],
    mode: TableMode,
    wait: Option<WaitPolicy>,
) -> AcquireOutcome {
    let began = Instant::now();
    let outcome = try_lock_tables(wire, tables, mode, wait).await;
    let bound = wait.and_then(WaitPolicy::bound);
    match &outcome {
        // The time is over, by which the server ends the statement as a whole. It may have been spent without a wait, and
        // all of them may be free by now.
        AcquireOutcome::Failed(failure)
            if may_be_canceled(failure) && bound.is_some_and(|bound| began.elapsed() >= bound) =>
        {
            try_lock_tables(wire, tables, mode, Some(WaitPolicy::NoWait)).await
        }
        _ => outcome,
    }
}

/// Diesel shows no SQLSTATE of an error that comes while another one is raised: the statement's time may be over as the
/// lock's is.
fn may_be_canceled(failure: &Failure) -> bool {
    failure.is(&SqlState::QUERY_CANCELED) || (failure.sql_state.is_none() && !failure.session_ended)
}

async fn try_lock_tables(
    wire: &mut impl SimpleQuery,
    tables: &[TableName],
    mode: TableMode,
    wait: Option<WaitPolicy>,
) -> AcquireOutcome {
    let sql = sql::transaction::lock_tables(tables, mode, wait);
    match in_transaction(wire, &sql, true).await {
        Ok(_) => AcquireOutcome::Granted,
        Err(outcome) => outcome,
    }
}

/// Requests a lock in the caller's transaction. With a `savepoint` in `sql`, a failure is rolled back to it.
async fn in_transaction(
    wire: &mut impl SimpleQuery,
    sql: &str,
    savepoint: bool,
) -> Result<Rows, AcquireOutcome> {
    let answer = match wire.expect_transaction().await {
        Ok(()) => wire.simple_query_or_clean_up(sql).await,
        Err(failure) => Err(failure),
    };
    let outcome = match answer {
        Ok(rows) => return Ok(rows),
        // Nothing was sent.
        Err(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
            return Err(AcquireOutcome::Failed(failure));
        }
        // Not ours to undo: the transaction was aborted before.
        Err(failure) if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            return Err(AcquireOutcome::InTransaction);
        }
        Err(failure) if failure.is(&SqlState::LOCK_NOT_AVAILABLE) => AcquireOutcome::Busy,
        Err(failure) => AcquireOutcome::Failed(failure),
    };
    if savepoint {
        // If this fails, the caller's next statement fails as well and reports it.
        let _ = wire
            .simple_query(sql::transaction::UNDO_ACQUIRE_IN_TRANSACTION)
            .await;
    }
    Err(outcome)
}

/// Who blocks the lock.
pub(crate) async fn holder(wire: &mut impl SimpleQuery, lock: &LockSpec) -> Found {
    let holder = sql::holder::holder(lock.key, lock.mode);
    found(wire.simple_query(&holder).await, Some(lock.key))
}

/// Like [`holder`], in the caller's transaction.
pub(crate) async fn holder_in_transaction(wire: &mut impl SimpleQuery, lock: &LockSpec) -> Found {
    let holder = sql::holder::holder(lock.key, lock.mode);
    found(look_up_in_transaction(wire, &holder).await, Some(lock.key))
}

/// Who blocks a lock on one of the tables, looked up in the caller's transaction.
pub(crate) async fn table_holder(
    wire: &mut impl SimpleQuery,
    tables: &[TableName],
    mode: TableMode,
) -> Found {
    let holder = sql::holder::table_holder(tables, mode);
    found(look_up_in_transaction(wire, &holder).await, None)
}

fn found(answer: Result<Rows, Failure>, key: Option<Key>) -> Found {
    match answer {
        Ok(rows) => reply::of_holder(&rows, key),
        Err(failure) => reply::of_failed_look_up(&failure),
    }
}

/// The transaction stays usable when the look-up fails, for example because our role may not read `pg_locks`.
async fn look_up_in_transaction(
    wire: &mut impl SimpleQuery,
    holder: &str,
) -> Result<Rows, Failure> {
    let answer = wire
        .simple_query(&sql::transaction::behind_a_savepoint(holder))
        .await;
    let end = match answer {
        Ok(_) => sql::transaction::RELEASE_SAVEPOINT,
        Err(_) => sql::transaction::UNDO_ACQUIRE_IN_TRANSACTION,
    };
    // If this fails, the caller's next statement fails as well and reports it.
    let _ = wire.simple_query(end).await;
    answer
}

/// What an acquire means to the caller: whether it was granted, with `false` for a busy lock, whose holder only the caller
/// can look up. `in_transaction` makes the error of a connection in a transaction.
pub(crate) fn explain_acquire(
    id: &dyn fmt::Display,
    outcome: AcquireOutcome,
    in_transaction: fn(&dyn fmt::Display) -> Error,
) -> Result<bool, Error> {
    match outcome {
        AcquireOutcome::Granted => Ok(true),
        AcquireOutcome::Busy => Ok(false),
        AcquireOutcome::InTransaction | AcquireOutcome::WrongBackend => Err(in_transaction(id)),
        AcquireOutcome::Failed(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
            Err(Error::outside_a_transaction(id, failure))
        }
        AcquireOutcome::Failed(failure) | AcquireOutcome::Broken(failure) => {
            Err(Error::not_acquired(id, failure))
        }
    }
}

/// The caller's result of an acquire that was `granted` or found the lock busy. Then `busy` makes the error of the holder,
/// which `look_up` finds; it is looked up only if somebody reads it.
pub(crate) async fn granted_or_busy<W: SimpleQuery>(
    wire: &mut W,
    granted: bool,
    on_busy: OnBusy,
    look_up: impl AsyncFnOnce(&mut W) -> Found,
    busy: impl FnOnce(Found) -> Error,
) -> Result<(), Error> {
    if granted {
        return Ok(());
    }
    let holder = if telemetry::asks_for_holder(on_busy) {
        look_up(wire).await
    } else {
        Found::Unknown
    };
    Err(busy(holder))
}

/// Turns the outcome of a release into the caller's result.
pub(crate) fn explain_release(id: &LockId, released: Released) -> Result<(), Error> {
    match released {
        Released::Yes => Ok(()),
        Released::NotHeld => Err(Error::lost(
            id,
            "its session no longer held it when it was released",
        )),
        Released::WrongBackend => Err(Error::lost(
            id,
            "a pooler moved its session to another backend (use `xact`, or connect to postgres directly)",
        )),
        Released::AndRolledBack => Err(Error::left_open(id)),
        Released::InTransaction { .. } => Err(Error::lost(
            id,
            "its session was in a transaction that could not be ended",
        )),
        Released::Failed(failure) => Err(Error::lost(id, "its release failed").caused_by(failure)),
    }
}

#[cfg(test)]
mod tests {
    use pglock_tests::{database, pid_of};

    use super::*;
    use crate::background::block_on;
    use crate::wire::canceled::tests::Canceled;

    #[test]
    fn a_lock_whose_acquire_failed_at_its_grant_is_released() {
        let db = database();
        let mut client = db.connect();
        let pid = pid_of(&mut client);
        for own in [None, Some(pid)] {
            for mode in [AdvisoryMode::Exclusive, AdvisoryMode::Shared] {
                for wait in [
                    WaitPolicy::NoWait,
                    WaitPolicy::Millis(1000),
                    WaitPolicy::Block,
                ] {
                    // All that follows is canceled too: a session of our own, which many use, is not given up for that.
                    for as_they_begin in [0, if own.is_some() { 9 } else { 0 }] {
                        let lock = LockSpec::new(1.into(), mode, None).unwrap();
                        let mut wire = Canceled {
                            client: &mut client,
                            at_its_end: true,
                            as_they_begin,
                        };
                        let outcome = block_on(acquire_session(&mut wire, &lock, wait, own));
                        assert!(matches!(outcome, AcquireOutcome::Failed(_)), "{outcome:?}");
                        assert_eq!(db.advisory_locks(), [], "{own:?} {mode:?} {wait:?}");
                    }
                }
            }
        }
    }

    /// A connection of diesel's on which the time of the statement is over as the error about the lock is raised.
    struct TimesOutTwice {
        texts: Vec<String>,
    }

    impl SimpleQuery for TimesOutTwice {
        async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
            self.texts.push(sql.to_owned());
            let untold = Failure::local("canceling statement due to statement timeout", false);
            if sql.contains("NOWAIT") {
                return Err(Failure {
                    sql_state: Some(SqlState::LOCK_NOT_AVAILABLE),
                    ..untold
                });
            }
            if sql.contains("LOCK TABLE") {
                return Err(untold);
            }
            Ok(Rows::default())
        }
    }

    #[test]
    fn a_timeout_of_table_locks_without_an_sql_state_is_one() {
        let mut wire = TimesOutTwice { texts: Vec::new() };
        let tables = ["orders".into()];
        let wait = Some(WaitPolicy::Millis(0));
        let outcome = block_on(lock_tables(&mut wire, &tables, TableMode::Share, wait));
        assert!(matches!(outcome, AcquireOutcome::Busy), "{outcome:?}");
        let undone = |text: &&String| *text == sql::transaction::UNDO_ACQUIRE_IN_TRANSACTION;
        assert_eq!(wire.texts.iter().filter(undone).count(), 2);
    }

    #[test]
    fn a_transaction_of_our_own_whose_acquire_failed_is_over() {
        let db = database();
        let mut client = db.connect();
        let server = sql::session::ServerFeatures {
            transaction_timeout: false,
            client_connection_check: false,
            liveness: crate::model::liveness::Liveness::default(),
        };
        for as_they_begin in [0, 9] {
            let mut wire = Canceled {
                client: &mut client,
                at_its_end: true,
                as_they_begin,
            };
            let lock = LockSpec::new(1.into(), AdvisoryMode::Exclusive, None).unwrap();
            let acquire = begin_and_acquire(&mut wire, &lock, WaitPolicy::Block, server);
            let outcome = block_on(acquire);
            assert!(matches!(outcome, AcquireOutcome::Failed(_)), "{outcome:?}");
            client.batch_execute("SELECT 1").unwrap();
        }
    }

    /// As when a statement of a heartbeat was canceled in it: the lock is gone, which a bare `COMMIT` would not tell.
    #[test]
    fn the_commit_of_a_transaction_that_was_aborted_fails() {
        let db = database();
        let mut client = db.connect();
        client.batch_execute("BEGIN; SELECT 1").unwrap();
        client.batch_execute(sql::transaction::COMMIT).unwrap();
        client
            .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1)")
            .unwrap();
        client.batch_execute("SELECT 1 / 0").unwrap_err();
        assert_eq!(db.held(1), 0);
        client.batch_execute(sql::transaction::COMMIT).unwrap_err();
    }
}
