//! Errors of statements on the caller's connections that acquire no lock: settings and listings.

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind, Failure};

impl Error {
    pub(crate) fn setting_failed(failure: Failure) -> Self {
        Self::statement_failed(failure, "set the lock timeout")
    }

    pub(crate) fn setting_lost_to_fork() -> Self {
        Self::config(
            "cannot restore the lock timeout of a connection in a process that was forked from the one that set it; connect after the fork",
        )
    }

    pub(crate) fn look_failed(failure: Failure) -> Self {
        Self::statement_failed(failure, "list the locks")
    }

    /// `what` could not be done, as in "list the locks".
    pub(super) fn statement_failed(failure: Failure, what: &str) -> Self {
        if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) {
            return Self::config(format!(
                "cannot {what} in a transaction that an earlier error has aborted; roll back first"
            ))
            .caused_by(failure);
        }
        if failure.session_ended {
            return Self::new(
                ErrorKind::Connect,
                format!("cannot {what}: the session has ended; connect again"),
            )
            .caused_by(failure);
        }
        Self::new(
            ErrorKind::Database,
            format!("cannot {what}: postgres refused the statement; the source says why"),
        )
        .caused_by(failure)
    }
}
