//! Errors of statements on the caller's connections that acquire no lock: settings and listings.

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind, Failure, SEE_SOURCE};

impl Error {
    pub(crate) fn setting_failed(failure: Failure) -> Self {
        Self::statement_failed(failure, "set the lock timeout")
    }

    pub(crate) fn setting_lost_to_fork() -> Self {
        Self::config(
            "cannot restore the lock timeout of a connection in a process that was forked from the one that set it; connect after the fork",
        )
    }

    pub(crate) fn setting_left_behind() -> Self {
        Self::environment(
            "the lock timeout cannot be restored: a pooler in transaction mode has moved the connection to another session of the server, and the timeout stays on the one before, for whoever gets that next; set it in a transaction, with `pglock::timeout(..)` there or with `SET LOCAL lock_timeout`, or connect to postgres directly",
        )
    }

    pub(crate) fn query_failed(failure: Failure) -> Self {
        let is_unreadable_value = |state: &SqlState| state.code().starts_with("22");
        if failure.sql_state.as_ref().is_some_and(is_unreadable_value) {
            return Self::new(
                ErrorKind::Database,
                "postgres cannot read the value of a filter as a duration, a time or a regular expression; write it as in `5 seconds` or `2030-01-01 12:00+00`, and print this error with `{:?}` to see which",
            )
            .caused_by(failure);
        }
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
            format!("cannot {what}: postgres refused the statement; {SEE_SOURCE}"),
        )
        .caused_by(failure)
    }
}
