//! Whether a new session can carry locks. What can't is found by what it does, and proved before it is accused.
//!
//! On a Postgres of one's own this takes no round trip beside the greeting.

use std::fmt;
use std::time::{Duration, SystemTime};

use tokio_postgres::error::SqlState;

use super::backend_key;
use super::connection::RawConnection;
use crate::database::{Database, why_no_session};
use crate::error::{Error, Failure};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql;

/// How often two sessions behind a pooler are asked, twice each, where they are before it is believed to be in session mode.
const ROUNDS: usize = 8;

/// How long a second session may take. A pooler in session mode may have none left for it, and lets it wait.
const SECOND_SESSION_BOUND: Duration = Duration::from_secs(2);

/// What a session has around it.
pub(in crate::engine) struct ServerInfo {
    pub(super) backend: Backend,
    /// Of whatever mode.
    pub(super) behind_pooler: bool,
    pub(super) server: sql::session::ServerFeatures,
    /// How many locks have room in the server's lock table, which all databases share.
    pub(super) lock_table: usize,
}

/// Why there is no session.
pub(super) enum Unsupported {
    Failed(Failure),
    NotPostgres(Failure),
    Standby,
    Pooler,
    NoLocks,
}

impl From<Failure> for Unsupported {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Unsupported {
    pub(super) fn explain(self, opened_for: &dyn fmt::Display, place: &str) -> Error {
        match self {
            Self::Failed(failure) => {
                Error::no_session(opened_for, place, why_no_session(&failure), failure)
            }
            Self::NotPostgres(failure) => Error::not_postgres(opened_for, place, failure),
            Self::Standby => Error::standby(opened_for, place),
            Self::Pooler => Error::pooler(opened_for, place),
            Self::NoLocks => Error::no_locks(opened_for, place),
        }
    }
}

/// Greets the server, and looks at what answers.
pub(super) async fn probe(
    database: &Database,
    connection: &RawConnection,
    scope: Scope,
) -> Result<ServerInfo, Unsupported> {
    let announced = backend_key::pid(connection.client()).await?;
    let rows = match connection
        .ask(&sql::session::probe(scope, announced, database.liveness()))
        .await
    {
        Ok(rows) => rows,
        Err(failure) if is_unknown_to_server(&failure) => {
            return Err(Unsupported::NotPostgres(failure));
        }
        Err(failure) => return Err(Unsupported::Failed(failure)),
    };
    let mut rows = rows.iter();
    let (Some(facts), Some(seen)) = (rows.next(), rows.next()) else {
        return Err(Unsupported::Failed(Failure::unexpected_answer()));
    };
    let backend = sql::backend::read(&facts).ok_or_else(Failure::unexpected_answer)?;
    let server = sql::session::ServerFeatures {
        transaction_timeout: facts.is_true(2),
        client_connection_check: facts.is_true(3),
        liveness: database.liveness(),
    };
    if database.liveness().lease().is_some() && scope == Scope::Session && !facts.is_true(6) {
        return Err(Unsupported::Failed(Failure::refused(
            "a lease stands on `idle_session_timeout`, which Postgres has from version 14 on; leave `lease` out, or use `xact`",
        )));
    }
    let lock_table = facts.parsed(7).ok_or_else(Failure::unexpected_answer)?;
    if facts.is_true(4) {
        return Err(Unsupported::Standby);
    }
    let (said_yes, is_there) = (facts.is_true(5), seen.is_true(0));
    if said_yes && !is_there && gives_one_lock_twice(database, connection).await? {
        return Err(Unsupported::NoLocks);
    }
    // Every pooler makes up the number that it announces, since it announces it before there is a backend.
    let behind_pooler = backend.pid != announced;
    if behind_pooler && scope == Scope::Session {
        if moves_sessions(database, connection, backend.pid).await? {
            return Err(Unsupported::Pooler);
        }
        // Only now: in a pool that others share, settings would reach them.
        if connection
            .ask(&sql::session::set_up(backend.pid, database.liveness()))
            .await?
            .is_empty()
        {
            return Err(Unsupported::Pooler);
        }
    }
    Ok(ServerInfo {
        backend,
        behind_pooler,
        server,
        lock_table,
    })
}

/// The server lacks a function, a table, a column or a setting, or doesn't understand a word.
fn is_unknown_to_server(failure: &Failure) -> bool {
    let state = failure.sql_state.as_ref().map(SqlState::code);
    // A missing right is of the same class.
    state.is_some_and(|state| state != "42501" && (state.starts_with("42") || state == "0A000"))
}

/// Whether the pooler gives a backend to more than one session, or a session more than one backend.
async fn moves_sessions(
    database: &Database,
    first: &RawConnection,
    pid: i32,
) -> Result<bool, Failure> {
    let second = tokio::time::timeout(SECOND_SESSION_BOUND, async {
        let connection = RawConnection::open(database).await?;
        let pid = backend_pid(&connection).await?;
        Ok::<_, Failure>((connection, pid))
    });
    let Ok(second) = second.await else {
        // Ours is answered while the other one waits, so it has a backend for itself.
        return Ok(backend_pid(first).await? != pid);
    };
    let (second, second_pid) = second?;
    let mut moved = second_pid == pid;
    for _ in 0..ROUNDS {
        if moved {
            break;
        }
        // Not in turn: a pool of two that gives them in turn would look as if each had its own.
        moved = backend_pid(first).await? != pid
            || backend_pid(first).await? != pid
            || backend_pid(&second).await? != second_pid
            || backend_pid(&second).await? != second_pid;
    }
    Ok(moved)
}

async fn backend_pid(connection: &RawConnection) -> Result<i32, Failure> {
    let rows = connection.ask(sql::session::BACKEND_PID).await?;
    let pid = rows.first_row().and_then(|row| row.parsed(0));
    pid.ok_or_else(Failure::unexpected_answer)
}

/// Whether two sessions get the same exclusive lock at the same time.
async fn gives_one_lock_twice(database: &Database, first: &RawConnection) -> Result<bool, Failure> {
    // A key that nobody else tries at this moment.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = i64::from(now.unwrap_or_default().subsec_nanos());
    let key = Key::Big((i64::from(std::process::id()) << 32) | nanos);
    let second = RawConnection::open(database).await?;
    let ours = first
        .ask(&sql::session::begin_and_try(key))
        .await?
        .last_bool();
    let theirs = second.ask(&sql::session::try_once(key)).await?.last_bool();
    first.ask(sql::transaction::ROLLBACK).await?;
    Ok(ours == Some(true) && theirs == Some(true))
}
