//! What the conversations with the server need of a driver: one simple query, its rows as text, its failure.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::{Severity, SqlState};

/// A connection on which a conversation is held, one statement after the other.
///
/// Blocking drivers block inside [`simple_query`](Wire::simple_query), so that each conversation is written once.
pub(crate) trait Wire {
    /// Sends `sql` by the simple protocol: several statements are one round trip and one implicit transaction.
    fn simple_query(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Failure>> + Send;

    /// Fails where no transaction is open, on connections whose type doesn't say that one is.
    fn expect_transaction(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A connection on which a statement is run with values that are bound, never written into it.
pub(crate) trait BoundWire {
    /// Runs one statement, in as few round trips as the driver can: all its parameters are text, and all columns of
    /// its answer.
    fn query(
        &mut self,
        sql: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Rows, Failure>> + Send;
}

/// The rows of all statements of one query, in order.
#[derive(Default)]
pub(crate) struct Rows(Vec<Vec<Option<String>>>);

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last row's first column, when it is a boolean.
    pub(crate) fn last_bool(&self) -> Option<bool> {
        match self.0.last()?.first()?.as_deref()? {
            "t" => Some(true),
            "f" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn first_row(&self) -> Option<Row<'_>> {
        self.0.first().map(|columns| Row(columns))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(|columns| Row(columns))
    }
}

impl FromIterator<Vec<Option<String>>> for Rows {
    fn from_iter<T: IntoIterator<Item = Vec<Option<String>>>>(rows: T) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl From<Vec<SimpleQueryMessage>> for Rows {
    fn from(messages: Vec<SimpleQueryMessage>) -> Self {
        messages.iter().collect()
    }
}

/// The rows of a statement whose columns are all text.
impl TryFrom<Vec<tokio_postgres::Row>> for Rows {
    type Error = Failure;

    fn try_from(rows: Vec<tokio_postgres::Row>) -> Result<Self, Failure> {
        let text = |row: &tokio_postgres::Row, column| {
            row.try_get(column)
                .map_err(|_| Failure::unexpected_answer())
        };
        let rows = rows
            .iter()
            .map(|row| (0..row.len()).map(|column| text(row, column)).collect());
        Ok(Self(rows.collect::<Result<_, Failure>>()?))
    }
}

impl<'a> FromIterator<&'a SimpleQueryMessage> for Rows {
    fn from_iter<T: IntoIterator<Item = &'a SimpleQueryMessage>>(messages: T) -> Self {
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Self(rows.collect())
    }
}

/// One row, its columns as text.
pub(crate) struct Row<'a>(&'a [Option<String>]);

impl Row<'_> {
    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    pub(crate) fn is_true(&self, column: usize) -> bool {
        self.text(column) == Some("t")
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: usize) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}

/// A statement that failed, whatever the driver.
pub(crate) struct Failure {
    pub(crate) sql_state: Option<SqlState>,
    /// The session is over: whatever it held is released.
    pub(crate) session_ended: bool,
    pub(crate) source: Box<dyn StdError + Send + Sync>,
}

impl Failure {
    pub(crate) fn is(&self, state: &SqlState) -> bool {
        self.sql_state.as_ref() == Some(state)
    }

    /// What we ourselves could not do for a session to be.
    #[cfg(feature = "rustls")]
    pub(crate) fn before_connecting(error: crate::Error) -> Self {
        Self {
            sql_state: None,
            session_ended: true,
            source: Box::new(error),
        }
    }

    /// What we don't go on with, although the server would.
    pub(crate) fn refused(why: &'static str) -> Self {
        Self {
            sql_state: None,
            session_ended: true,
            source: why.into(),
        }
    }

    /// No answer; the session is given up.
    pub(crate) fn silent() -> Self {
        Self {
            sql_state: None,
            session_ended: true,
            source: "the server did not answer in time".into(),
        }
    }

    /// An answer that Postgres does not give.
    pub(crate) fn unexpected_answer() -> Self {
        Self {
            sql_state: None,
            session_ended: false,
            source: "the server gave an answer that postgres does not give".into(),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// The error of tokio-postgres, which is the error of postgres too.
impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let session_ended = match error.as_db_error() {
            Some(db) => matches!(
                db.parsed_severity(),
                Some(Severity::Fatal | Severity::Panic)
            ),
            // Without an answer from the server the driver has given the connection up.
            None => true,
        };
        Self {
            sql_state: error.code().cloned(),
            session_ended,
            source: Box::new(error),
        }
    }
}
