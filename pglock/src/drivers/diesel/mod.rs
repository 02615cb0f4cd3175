//! The blocking `diesel` driver.
//!
//! Diesel hides the SQLSTATE of an error, and the rows of a text with several statements; `sql.rs` works around both.

mod sql;

use std::sync::Arc;

use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::deserialize::{self, QueryableByName};
use diesel::pg::{Pg, PgConnection};
use diesel::query_builder::BoxedSqlQuery;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, sql_query};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::sealed::Blocking;
use super::{AnyConnection, Connection, InTransaction};
use crate::error::{Failure, transaction_in_the_way};
use crate::sql::Rows;

#[diagnostic::do_not_recommend]
impl Connection for PgConnection {}

#[diagnostic::do_not_recommend]
impl AnyConnection for PgConnection {}

/// A transaction of diesel is the connection itself; `expect_transaction` checks whether one is open.
#[diagnostic::do_not_recommend]
impl InTransaction for PgConnection {}

impl Blocking for PgConnection {
    fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        let (sql, answer) = match sql::text(sql) {
            sql::Text::Query(sql) => return Blocking::query(self, &sql, &[]),
            sql::Text::Batch { sql, answer } => (sql, answer),
        };
        self.batch_execute(&sql)
            .map_err(|error| failure(self, error))?;
        let Some(answer) = answer else {
            return Ok(Rows::default());
        };
        let stored = Blocking::query(self, &answer, &[])?;
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

    fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        let query = sql_query(sql).into_boxed::<Pg>();
        let query = values.iter().fold(query, BoxedSqlQuery::bind::<Text, _>);
        let rows: Vec<TextRow> = query.load(self).map_err(|error| failure(self, error))?;
        Ok(rows.into_iter().map(|TextRow(columns)| columns).collect())
    }

    /// Asks diesel, which counts the transactions that it began, or the server when diesel has lost count.
    fn expect_transaction(&mut self) -> Result<(), Failure> {
        let open = match depth(self) {
            Ok(depth) => depth.is_some(),
            Err(_) => {
                Blocking::simple_query(self, crate::sql::transaction::IS_IN_TRANSACTION)?
                    .last_bool()
                    == Some(true)
            }
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

    /// Diesel loses count when the connection is closed, but also for other reasons, so a statement has to decide.
    fn is_closed(&mut self) -> bool {
        depth(self).is_err()
            && self
                .batch_execute(sql::PROBE)
                .is_err_and(|error| session_ended(&error))
    }
}

/// How many nested transactions diesel has begun; `None` outside one.
fn depth(connection: &mut PgConnection) -> Result<Option<u32>, Error> {
    type Manager = <PgConnection as diesel::Connection>::TransactionManager;
    Manager::transaction_manager_status_mut(connection)
        .transaction_depth()
        .map(|depth| depth.map(u32::from))
}

fn failure(connection: &mut PgConnection, error: Error) -> Failure {
    let session_ended = session_ended(&error);
    let sql_state = match &error {
        Error::DatabaseError(_, info) => info
            .constraint_name()
            .and_then(sql::sql_state)
            .map(SqlState::from_code),
        _ => None,
    };
    let sql_state = match sql_state {
        None if !session_ended && says_aborted(connection, &error) => {
            Some(SqlState::IN_FAILED_SQL_TRANSACTION)
        }
        sql_state => sql_state,
    };
    let in_the_way = match &error {
        Error::DatabaseError(_, info) => info.details().and_then(transaction_in_the_way),
        _ => None,
    };
    Failure {
        sql_state,
        session_ended,
        in_the_way,
        source: Arc::new(error),
    }
}

fn session_ended(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _
        )
    )
}

/// How many statements have to fail alike. Somebody who cancels all of a session's statements may hit one or two.
const PROBES: usize = 10;

/// Whether the error means an aborted transaction. Its text depends on the server's language, so it is compared with the
/// errors of other statements: in an aborted transaction each fails with the same text, elsewhere only if it is canceled.
fn says_aborted(connection: &mut PgConnection, error: &Error) -> bool {
    let text = error.to_string();
    (0..PROBES).all(|_| {
        let probe = connection.batch_execute(sql::PROBE);
        probe.is_err_and(|probe_error| probe_error.to_string() == text)
    })
}

/// A row with any number of columns, as text. Only the types that our statements return are known.
struct TextRow(Vec<Option<String>>);

impl QueryableByName<Pg> for TextRow {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        (0..row.field_count())
            .map(|column| {
                let field = Row::get(row, column).ok_or("a column is missing")?;
                field
                    .value()
                    .map(|value| as_text(value.get_oid().get(), value.as_bytes()))
                    .transpose()
            })
            .collect::<deserialize::Result<_>>()
            .map(TextRow)
    }
}

/// Converts a value from the protocol's binary format to its text format.
fn as_text(oid: u32, bytes: &[u8]) -> deserialize::Result<String> {
    match Type::from_oid(oid) {
        Some(Type::BOOL) => Ok(if bytes == [1] { "t" } else { "f" }.to_owned()),
        Some(Type::INT4) => Ok(i32::from_be_bytes(bytes.try_into()?).to_string()),
        Some(Type::TEXT | Type::NAME | Type::VOID) => Ok(std::str::from_utf8(bytes)?.to_owned()),
        other => Err(format!("a column of type {other:?} is not expected").into()),
    }
}

/// `QueryBuilderError` is the variant that keeps the error as it is: its text is that of pglock's, and
/// `downcast_ref::<pglock::Error>()` gives it back.
impl From<crate::error::Error> for Error {
    fn from(error: crate::error::Error) -> Self {
        Self::QueryBuilderError(Box::new(error))
    }
}
