//! How a statement failed, before it is known what that means for a lock.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::{Severity, SqlState};

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

    /// One that no server told.
    fn local(source: impl Into<Box<dyn StdError + Send + Sync>>, session_ended: bool) -> Self {
        Self {
            sql_state: None,
            session_ended,
            source: source.into(),
        }
    }

    /// What we ourselves could not do for a session to be.
    #[cfg(feature = "rustls")]
    pub(crate) fn before_connecting(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::local(source, true)
    }

    /// What we don't go on with, although the server would.
    pub(crate) fn refused(why: &'static str) -> Self {
        Self::local(why, true)
    }

    /// No answer; the session is given up.
    pub(crate) fn silent() -> Self {
        Self::local("the server did not answer in time", true)
    }

    /// An answer that Postgres does not give.
    pub(crate) fn unexpected_answer() -> Self {
        Self::local(
            "the server gave an answer that postgres does not give",
            false,
        )
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
