//! How a statement failed. What that means for a lock is decided by [`Error`](super::Error).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::{DbError, Severity, SqlState};

/// A statement that failed, in the same form for every driver.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Clone)]
pub struct Failure {
    pub(crate) sql_state: Option<SqlState>,
    /// The session is over, so the server has released all its locks.
    pub(crate) session_ended: bool,
    /// Of a deadlock, the transaction for whose end somebody in it waits, and for no lock.
    pub(crate) in_the_way: Option<VirtualTransaction>,
    pub(crate) source: Arc<dyn StdError + Send + Sync>,
}

impl Failure {
    pub(crate) fn is(&self, state: &SqlState) -> bool {
        self.sql_state.as_ref() == Some(state)
    }

    /// The error and what has caused it, step by step.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let source: &(dyn StdError + 'static) = &*self.source;
        std::iter::successors(Some(source), |&error| error.source())
    }

    /// What the server said, if the failure is its answer.
    pub(crate) fn server_message(&self) -> Option<&str> {
        let said = self
            .causes()
            .find_map(|cause| cause.downcast_ref::<DbError>());
        said.map(DbError::message)
    }

    /// Whether this text is in one of them.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.causes().any(|cause| cause.to_string().contains(text))
    }

    /// Somebody canceled the statement, and the session continues.
    pub(crate) fn was_canceled(&self) -> bool {
        self.is(&SqlState::QUERY_CANCELED) && !self.session_ended
    }

    /// A failure in this process, without an answer from the server.
    pub(crate) fn local(
        source: impl Into<Box<dyn StdError + Send + Sync>>,
        session_ended: bool,
    ) -> Self {
        Self {
            sql_state: None,
            session_ended,
            in_the_way: None,
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
        let detail = error.as_db_error().and_then(DbError::detail);
        Self {
            sql_state: error.code().cloned(),
            session_ended,
            in_the_way: detail.and_then(transaction_in_the_way),
            source: Arc::new(error),
        }
    }
}

/// The ID of a transaction in the server, as in `pg_locks.virtualxid`.
pub(crate) type VirtualTransaction = (u32, u32);

/// The transaction whose end somebody in a deadlock waits for, as `CREATE INDEX CONCURRENTLY` does, by the detail of the
/// error. The text depends on the server's language, but nothing else in it is two numbers with a slash.
// Input:  Process 11 waits for ExclusiveLock on advisory lock [5,0,7,1]; blocked by process 12.
//         Process 12 waits for ShareLock on virtual transaction 3/41; blocked by process 11.
// Output: (3, 41)
pub(crate) fn transaction_in_the_way(detail: &str) -> Option<VirtualTransaction> {
    let not_digit = |char: char| !char.is_ascii_digit();
    detail.match_indices('/').find_map(|(slash, _)| {
        let before = detail[..slash].rsplit(not_digit).next()?;
        let after = detail[slash + 1..].split(not_digit).next()?;
        Some((before.parse().ok()?, after.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_transaction_is_told_from_who_waits_for_a_lock() {
        let lock =
            "Process 11 waits for ExclusiveLock on advisory lock [5,0,7,1]; blocked by process 12.";
        let transaction = "Prozess 12 wartet auf ShareLock-Sperre auf virtuelle Transaktion 3/41; blockiert von Prozess 11.";
        let in_the_way = |lines: [&str; 2]| transaction_in_the_way(&lines.join("\n"));
        assert_eq!(in_the_way([lock, transaction]), Some((3, 41)));
        assert_eq!(in_the_way([transaction, lock]), Some((3, 41)));
        assert_eq!(in_the_way([lock, lock]), None);
        for none in ["", "40P01", "/", "a/1", "1/b"] {
            assert_eq!(transaction_in_the_way(none), None, "{none}");
        }
    }
}
