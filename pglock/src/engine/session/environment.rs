//! Checks that a new session can hold locks. Poolers, standbys and look-alikes are detected by behaviour, not by
//! version.
//!
//! On a direct connection to Postgres the check costs no extra round trip.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use tokio_postgres::error::SqlState;

use super::backend_key;
use super::connection::RawConnection;
use crate::database::{Database, why_no_session};
use crate::error::{Error, Failure};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql;
use crate::sql::Rows;

/// Rounds in which two sessions behind a pooler are asked for their backend, twice each. If none of them has moved by
/// then, the pooler counts as one in session mode.
const ROUNDS: usize = 8;

/// How long a second session may take. A pooler in session mode may have no server left for it, and lets it wait.
const SECOND_SESSION_BOUND: Duration = Duration::from_secs(2);

/// For how long a question is asked again that was canceled. `connect_timeout` bounds it too.
const CANCELED: Duration = Duration::from_secs(3);

/// What is known about the server of a session.
pub(in crate::engine) struct ServerInfo {
    pub(super) backend: Backend,
    /// Whether there is a pooler in between, in whatever mode.
    pub(super) behind_pooler: bool,
    pub(super) server: sql::session::ServerFeatures,
    /// The size of the server's lock table, which all databases share, in locks.
    pub(super) lock_table: usize,
}

#[cfg(feature = "testing")]
impl ServerInfo {
    /// Of a session without a server.
    pub(super) fn of_none(database: &Database) -> Self {
        Self {
            // No backend, and no prepared transaction, has it.
            backend: Backend {
                pid: 0,
                started: None,
            },
            behind_pooler: false,
            server: sql::session::ServerFeatures {
                transaction_timeout: false,
                client_connection_check: false,
                liveness: database.liveness(),
            },
            lock_table: usize::MAX,
        }
    }
}

/// Why there is no session.
#[derive(Clone)]
pub(in crate::engine) enum NoSession {
    Failed(Failure),
    /// The server did not answer in this time.
    Timeout(Duration),
    NotPostgres(Failure),
    Standby,
    Pooler,
    NoLocks,
    /// As many are in use as `max_sessions` allows.
    AllInUse {
        sessions: usize,
    },
}

impl From<Failure> for NoSession {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl NoSession {
    /// The error of each of those for whom the session was opened.
    pub(in crate::engine) fn explain(&self, opened_for: &dyn fmt::Display, place: &str) -> Error {
        match self {
            Self::Failed(failure) => {
                Error::no_session(opened_for, place, why_no_session(failure), failure.clone())
            }
            Self::Timeout(bound) => Error::connect_timeout(opened_for, place, *bound),
            Self::NotPostgres(failure) => Error::not_postgres(opened_for, place, failure.clone()),
            Self::Standby => Error::standby(opened_for, place),
            Self::Pooler => Error::pooler(opened_for, place),
            Self::NoLocks => Error::no_locks(opened_for, place),
            Self::AllInUse { sessions } => Error::all_sessions_in_use(opened_for, place, *sessions),
        }
    }
}

/// Runs the first statement of a session, and checks what answered it.
pub(super) async fn probe(
    database: &Database,
    connection: &RawConnection,
    scope: Scope,
) -> Result<ServerInfo, NoSession> {
    let announced = backend_key::pid(connection.client()).await?;
    let greeting = sql::session::probe(scope, announced, database.liveness());
    let rows = match ask(connection, &greeting).await {
        Ok(rows) => rows,
        Err(failure) if is_unknown_to_server(&failure) => {
            return Err(NoSession::NotPostgres(failure));
        }
        Err(failure) => return Err(NoSession::Failed(failure)),
    };
    let mut rows = rows.iter();
    let (Some(facts), Some(seen)) = (rows.next(), rows.next()) else {
        return Err(NoSession::Failed(Failure::unexpected_answer()));
    };
    let backend = sql::backend::read(&facts).ok_or_else(Failure::unexpected_answer)?;
    let server = sql::session::ServerFeatures {
        transaction_timeout: facts.is_true(2),
        client_connection_check: facts.is_true(3),
        liveness: database.liveness(),
    };
    if database.liveness().lease().is_some() && scope == Scope::Session && !facts.is_true(6) {
        return Err(NoSession::Failed(Failure::refused(
            "`lease` needs the setting `idle_session_timeout`, which Postgres has from version 14 on; leave `lease` out, or use `xact`",
        )));
    }
    let lock_table = facts.parsed(7).ok_or_else(Failure::unexpected_answer)?;
    if facts.is_true(4) {
        return Err(NoSession::Standby);
    }
    let (granted, visible) = (facts.is_true(5), seen.is_true(0));
    if granted && !visible && gives_one_lock_twice(database, connection).await? {
        return Err(NoSession::NoLocks);
    }
    // A pooler announces a made-up pid, since it does so before it has a backend.
    let behind_pooler = backend.pid != announced;
    if behind_pooler && scope == Scope::Session {
        if moves_sessions(database, connection, backend.pid).await? {
            return Err(NoSession::Pooler);
        }
        // Not earlier: in a shared pool these settings would reach other clients.
        let set_up = sql::session::set_up(backend.pid, database.liveness());
        if ask(connection, &set_up).await?.is_empty() {
            return Err(NoSession::Pooler);
        }
    }
    Ok(ServerInfo {
        backend,
        behind_pooler,
        server,
        lock_table,
    })
}

/// Asks again when somebody cancels the question, who meant another statement: it would be the failure of all who wait for
/// the session. What was canceled has changed nothing.
async fn ask(connection: &RawConnection, question: &str) -> Result<Rows, Failure> {
    let began = Instant::now();
    loop {
        match connection.query(question).await {
            Err(failure) if failure.was_canceled() && began.elapsed() < CANCELED => {}
            answer => return answer,
        }
    }
}

/// Whether the server lacks a function, a table, a column or a setting, or does not know the syntax.
fn is_unknown_to_server(failure: &Failure) -> bool {
    let state = failure.sql_state.as_ref().map(SqlState::code);
    // A missing privilege (42501) is of the same class.
    state.is_some_and(|state| state != "42501" && (state.starts_with("42") || state == "0A000"))
}

/// Whether the pooler shares a backend between sessions, or moves a session between backends.
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
        // The first session is answered while the second one waits, so it has a backend of its own.
        return Ok(backend_pid(first).await? != pid);
    };
    let (second, second_pid) = second?;
    let mut moved = second_pid == pid;
    for _ in 0..ROUNDS {
        if moved {
            break;
        }
        // Twice each: a pool of two that hands out backends in rotation would look as if each session had its own.
        moved = backend_pid(first).await? != pid
            || backend_pid(first).await? != pid
            || backend_pid(&second).await? != second_pid
            || backend_pid(&second).await? != second_pid;
    }
    Ok(moved)
}

async fn backend_pid(connection: &RawConnection) -> Result<i32, Failure> {
    let rows = ask(connection, sql::session::BACKEND_PID).await?;
    let pid = rows.first_row().and_then(|row| row.parsed(0));
    pid.ok_or_else(Failure::unexpected_answer)
}

/// Whether two sessions get the same exclusive lock at the same time.
async fn gives_one_lock_twice(database: &Database, first: &RawConnection) -> Result<bool, Failure> {
    // A key that no other process tries at this moment.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = i64::from(now.unwrap_or_default().subsec_nanos());
    let key = Key::Big((i64::from(std::process::id()) << 32) | nanos);
    let second = RawConnection::open(database).await?;
    let ours = first
        .query(&sql::session::begin_and_try(key))
        .await?
        .last_bool();
    let theirs = second
        .query(&sql::session::try_once(key))
        .await?
        .last_bool();
    first.query(sql::transaction::ROLLBACK).await?;
    Ok(ours == Some(true) && theirs == Some(true))
}
