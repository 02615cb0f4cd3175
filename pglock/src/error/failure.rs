//! How a statement failed. What that means for a lock is decided by [`Error`](super::Error).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::{Severity, SqlState};

/// A statement that failed, in the same form for every driver.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Clone)]
pub struct Failure {
    pub(crate) sql_state: Option<SqlState>,
    /// The session is over, so the server has released all its locks.
    pub(crate) session_ended: bool,
    pub(crate) source: Arc<dyn StdError + Send + Sync>,
}

impl Failure {
    pub(crate) fn is(&self, state: &SqlState) -> bool {
        self.sql_state.as_ref() == Some(state)
    }

    /// A failure in this process, without an answer from the server.
    pub(crate) fn local(
        source: impl Into<Box<dyn StdError + Send + Sync>>,
        session_ended: bool,
    ) -> Self {
        Self {
            sql_state: None,
            session_ended,
            source: source.into().into(),
        }
    }

    /// A failure before the connection was tried, such as an unreadable certificate file.
    #[cfg(feature = "rustls")]
    pub(crate) fn before_connecting(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::local(source, true)
    }

    /// A session that pglock ends, although the server would continue it.
    pub(crate) fn refused(why: &'static str) -> Self {
        Self::local(why, true)
    }

    /// No answer within the limit; the session is closed.
    pub(crate) fn silent() -> Self {
        Self::local("the server did not answer in time", true)
    }

    /// A wait was canceled while no statement ran.
    pub(crate) fn canceled() -> Self {
        Self {
            sql_state: Some(SqlState::QUERY_CANCELED),
            ..Self::local("the wait was canceled", false)
        }
    }

    /// The session has ended, by what its driver did not say.
    pub(crate) fn session_ended() -> Self {
        Self::local("the session has ended", true)
    }

    /// An answer that Postgres never sends, as from a proxy or another database.
    pub(crate) fn unexpected_answer() -> Self {
        Self::local("the server sent an answer that postgres never sends", false)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// Of `tokio-postgres`, whose error type the `postgres` driver uses as well.
impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let session_ended = match error.as_db_error() {
            Some(db) => matches!(
                db.parsed_severity(),
                Some(Severity::Fatal | Severity::Panic)
            ),
            // Without an answer from the server, the driver has closed the connection.
            None => true,
        };
        Self {
            sql_state: error.code().cloned(),
            session_ended,
            source: Arc::new(error),
        }
    }
}
