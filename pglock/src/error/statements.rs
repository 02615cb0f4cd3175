//! What is said of statements on connections of the caller's that take no lock.

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind, Failure};

impl Error {
    pub(crate) fn setting_failed(failure: Failure) -> Self {
        Self::statement_failed(
            failure,
            "a lock timeout was asked for",
            "the session ended while its lock timeout was set; connect again",
            "postgres refused to set the lock timeout; the source says why",
        )
    }

    pub(crate) fn setting_lost_to_fork() -> Self {
        Self::config(
            "the lock timeout of a connection is put back in the process that set it, and this one was forked from it; connect after the fork",
        )
    }

    pub(crate) fn look_failed(failure: Failure) -> Self {
        Self::statement_failed(
            failure,
            "the locks were asked for",
            "the session ended while the locks were asked for; connect again",
            "postgres refused to tell the locks; the source says why",
        )
    }

    /// `what` was to be done; `ended` and `refused` say why it was not.
    pub(super) fn statement_failed(
        failure: Failure,
        what: &str,
        ended: &str,
        refused: &str,
    ) -> Self {
        if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) {
            return Self::config(format!(
                "{what} in a transaction that an earlier error has aborted; roll back first"
            ))
            .caused_by(failure);
        }
        if failure.session_ended {
            return Self::new(ErrorKind::Connect, ended).caused_by(failure);
        }
        Self::new(ErrorKind::Database, refused).caused_by(failure)
    }
}
