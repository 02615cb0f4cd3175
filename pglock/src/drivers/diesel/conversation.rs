//! What pglock asks of diesel's connections, written once: on a blocking one each future is ready at its first poll.

use std::num::NonZeroU32;
use std::sync::Arc;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_query;
use diesel::sql_types::Text;
use tokio_postgres::error::SqlState;

use super::rows::TextRow;
use super::sql;
use crate::error::{Failure, transaction_in_the_way};
use crate::sql::Rows;

/// A text with bound values.
pub(super) type Query<'q> = BoxedSqlQuery<'q, Pg, SqlQuery>;

/// A connection of diesel's.
pub(super) trait Statements {
    /// Runs statements in the simple protocol.
    fn batch(&mut self, sql: &str) -> impl Future<Output = QueryResult<()>> + Send;

    /// Runs one in the extended protocol.
    fn load(&mut self, query: Query<'_>) -> impl Future<Output = QueryResult<Vec<TextRow>>> + Send;
}

pub(super) async fn simple_query(on: &mut impl Statements, sql: &str) -> Result<Rows, Failure> {
    match sql::text(sql) {
        sql::Text::Query(sql) => query(on, &sql, &[]).await,
        sql::Text::Batch(batch) => {
            let done = on.batch(&batch.sql).await;
            answer_of_batch(on, done, batch.answer).await
        }
    }
}

/// The row of the last statement of a batch that has been sent.
pub(super) async fn answer_of_batch(
    on: &mut impl Statements,
    done: QueryResult<()>,
    answer: Option<String>,
) -> Result<Rows, Failure> {
    if let Err(error) = done {
        return Err(failure(on, error).await);
    }
    let Some(answer) = answer else {
        return Ok(Rows::default());
    };
    let stored = query(on, &answer, &[]).await?;
    let stored = stored.first_row();
    match stored.as_ref().and_then(|row| row.text(0)) {
        None => Err(Failure::unexpected_answer()),
        Some("") => Ok(Rows::default()),
        Some(row) => {
            let columns = sql::columns(row).ok_or_else(Failure::unexpected_answer)?;
            Ok([columns].into_iter().collect())
        }
    }
}

pub(super) async fn query(
    on: &mut impl Statements,
    sql: &str,
    values: &[String],
) -> Result<Rows, Failure> {
    let query = sql_query(sql).into_boxed::<Pg>();
    let query = values.iter().fold(query, BoxedSqlQuery::bind::<Text, _>);
    match on.load(query).await {
        Ok(rows) => Ok(rows.into_iter().map(|TextRow(columns)| columns).collect()),
        Err(error) => Err(failure(on, error).await),
    }
}

/// Asks diesel, which counts the transactions that it began, or the server when diesel has lost count.
pub(super) async fn expect_transaction(
    on: &mut impl Statements,
    depth: QueryResult<Option<NonZeroU32>>,
) -> Result<(), Failure> {
    let open = if let Ok(depth) = depth {
        depth.is_some()
    } else {
        let asked = simple_query(on, crate::sql::transaction::IS_IN_TRANSACTION).await?;
        asked.last_bool() == Some(true)
    };
    if open {
        return Ok(());
    }
    Err(Failure {
        sql_state: Some(SqlState::NO_ACTIVE_SQL_TRANSACTION),
        ..Failure::local(
            "diesel has not begun a transaction on this connection",
            false,
        )
    })
}

pub(super) async fn failure(on: &mut impl Statements, error: Error) -> Failure {
    let information = match &error {
        Error::DatabaseError(_, information) => Some(information),
        _ => None,
    };
    let marked = information
        .and_then(|information| information.constraint_name())
        .and_then(sql::sql_state)
        .map(SqlState::from_code);
    let in_the_way = information
        .and_then(|information| information.details())
        .and_then(transaction_in_the_way);
    let (sql_state, session_ended) = match marked {
        Some(sql_state) => (Some(sql_state), false),
        None if session_ended(&error) => (None, true),
        None => match probe(on, &error.to_string()).await {
            State::Usable => (None, false),
            State::Aborted => (Some(SqlState::IN_FAILED_SQL_TRANSACTION), false),
            State::Ended => (None, true),
        },
    };
    Failure {
        sql_state,
        session_ended,
        in_the_way,
        source: Arc::new(error),
    }
}

pub(super) fn session_ended(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _
        )
    )
}

/// A session after an error without an SQLSTATE.
enum State {
    Usable,
    /// In an aborted transaction.
    Aborted,
    Ended,
}

/// How many statements have to fail alike. Somebody who cancels all of a session's statements may hit one or two.
const PROBES: usize = 10;

/// Whether an error with this text means an aborted transaction. The text depends on the server's language, so it is compared
/// with the errors of other statements: in an aborted transaction each fails with the same text, elsewhere only if it is
/// canceled. The error that ends a session is like any other, but there is none after it.
async fn probe(on: &mut impl Statements, text: &str) -> State {
    for _ in 0..PROBES {
        match on.batch(sql::PROBE).await {
            Err(error) if session_ended(&error) => return State::Ended,
            Err(error) if error.to_string() == text => {}
            Ok(()) | Err(_) => return State::Usable,
        }
    }
    State::Aborted
}
