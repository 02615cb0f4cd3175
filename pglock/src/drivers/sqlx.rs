//! The async `sqlx` driver.
//!
//! sqlx sends a statement when its future is polled, and cannot cancel. A statement whose future was dropped continues in
//! the server, and the next use of the connection first waits for its answer.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use futures_util::FutureExt;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgDatabaseError, PgRow, PgSeverity};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction, ValueRef as _,
};
use tokio_postgres::error::SqlState;

use super::sealed::Async;
use super::{
    Answered, AnyAsyncConnection, AsyncConnection, AsyncInTransaction, CleanUp, forward_async,
};
use crate::error::{Error, Failure, transaction_in_the_way};
use crate::sql::Rows;
use crate::sql::transaction::{ABORT_TRANSACTION, END_ANY_TRANSACTION};

#[diagnostic::do_not_recommend]
impl AsyncConnection for PgConnection {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for PgConnection {}

impl Async for PgConnection {
    fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c> {
        Box::pin(async move {
            settle(self).await;
            simple_query(self, sql).await
        })
    }

    /// Two round trips. The statement stays out of the connection's cache, so that ours don't displace the caller's.
    fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        Box::pin(async move {
            settle(self).await;
            let mut query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
            for value in values {
                query = query.bind(value);
            }
            let answer = query.fetch_all(&mut *self).await;
            rows(self, answer).await
        })
    }

    fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c> {
        Box::pin(async move {
            settle(self).await;
            let mut sent = UndoOnDrop {
                connection: self,
                undo: clean_up.undo,
            };
            let rows = simple_query(sent.connection, sql).await;
            sent.undo = None;
            rows
        })
    }

    fn queue(&mut self, sql: &str) {
        let text = AssertSqlSafe(sql.to_owned());
        if is_settled(self) {
            drop(sqlx::raw_sql(text).execute(self).now_or_never());
            return;
        }
        // `begin` is the only call that sqlx queues behind a statement without an answer, so our text goes in as one; it
        // begins no transaction. Inside a transaction of sqlx's own, `begin` refuses the text.
        let began = matches!(self.begin_with(text).now_or_never(), Some(Ok(_)));
        // `Ok` at once means that sqlx found a transaction that was begun by hand, took it for the one to begin, and has
        // queued its rollback. Abort it, so that the caller's next statements fail instead of running outside it.
        if began && sql != END_ANY_TRANSACTION[0] {
            drop(self.begin_with(ABORT_TRANSACTION).now_or_never());
        }
    }

    /// The driver does not say; the next statement fails.
    fn is_closed(&self) -> bool {
        false
    }
}

/// A statement without an answer yet. Dropping it queues the undo.
struct UndoOnDrop<'c> {
    connection: &'c mut PgConnection,
    undo: Option<String>,
}

impl Drop for UndoOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(undo) = &self.undo {
            self.connection.queue(undo);
        }
    }
}

/// Waits for the answers to dropped statements, whose errors sqlx would report to the next statement. Afterwards the next
/// statement is sent at its first poll.
async fn settle(connection: &mut PgConnection) {
    while let Err(sqlx::Error::Database(_)) = connection.flush().await {}
}

/// Whether no answer is outstanding. Also sends what sqlx has queued.
fn is_settled(connection: &mut PgConnection) -> bool {
    settle(connection).now_or_never().is_some()
}

async fn simple_query(connection: &mut PgConnection, sql: &str) -> Result<Rows, Failure> {
    let answer = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut *connection)
        .await;
    rows(connection, answer).await
}

async fn rows(
    connection: &mut PgConnection,
    answer: Result<Vec<PgRow>, sqlx::Error>,
) -> Result<Rows, Failure> {
    match answer {
        Ok(rows) => rows.iter().map(as_text).collect(),
        Err(error) => {
            // sqlx returns at the error, before the answer has ended.
            settle(connection).await;
            Err(error.into())
        }
    }
}

fn as_text(row: &PgRow) -> Result<Vec<Option<String>>, Failure> {
    let text = |column| {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(None);
        }
        match value.as_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Failure::unexpected_answer()),
        }
    };
    (0..row.len()).map(text).collect()
}

/// What an error tells. `source` is it, or what wraps it.
pub(super) fn failure(error: &sqlx::Error, source: Arc<dyn StdError + Send + Sync>) -> Failure {
    let (sql_state, session_ended, in_the_way) = match error {
        sqlx::Error::Database(database) => {
            let postgres = database.try_downcast_ref::<PgDatabaseError>();
            let severity = postgres.map(PgDatabaseError::severity);
            let detail = postgres.and_then(PgDatabaseError::detail);
            let ended = matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic));
            (
                database.code().map(|code| SqlState::from_code(&code)),
                ended,
                detail.and_then(transaction_in_the_way),
            )
        }
        sqlx::Error::Io(_) => (None, true, None),
        _ => (None, false, None),
    };
    Failure {
        sql_state,
        session_ended,
        in_the_way,
        source,
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let error = Arc::new(error);
        failure(&error, error.clone())
    }
}

#[diagnostic::do_not_recommend]
impl AsyncConnection for PoolConnection<Postgres> {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for PoolConnection<Postgres> {}

impl Async for PoolConnection<Postgres> {
    forward_async!(simple_query query queue is_closed);

    fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c> {
        if clean_up.wait.is_none() {
            return (**self).simple_query_or(sql, clean_up);
        }
        Box::pin(async move {
            let mut waits = CloseOnDrop(Some(self));
            let rows = match &mut waits.0 {
                Some(connection) => connection.as_mut().simple_query_or(sql, clean_up).await,
                None => Err(Failure::unexpected_answer()),
            };
            waits.0 = None;
            rows
        })
    }
}

/// A wait on a pooled connection. Dropping it closes the connection, which would otherwise still wait in the pool.
struct CloseOnDrop<'c>(Option<&'c mut PoolConnection<Postgres>>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

#[diagnostic::do_not_recommend]
impl AsyncInTransaction for Transaction<'_, Postgres> {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for Transaction<'_, Postgres> {}

impl Async for Transaction<'_, Postgres> {
    forward_async!(simple_query query simple_query_or queue is_closed);
}

/// By this, sqlx makes an `sqlx::Error` of it. `as_database_error()?.try_downcast_ref::<pglock::Error>()` gives it back,
/// and `code()` is the SQLSTATE of the server's answer, if there was one.
impl DatabaseError for Error {
    fn message(&self) -> &str {
        Self::message(self)
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.sql_state().map(|state| Cow::Borrowed(state.code()))
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}
