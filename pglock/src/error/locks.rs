//! What is said of a lock that was not had, or not kept.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::humanize;
use super::{Error, ErrorKind, Failure, Holder};

impl Error {
    /// `skip` says how to go without the lock.
    pub(crate) fn busy(
        id: &dyn fmt::Display,
        waited: Option<Duration>,
        holder: Option<Holder>,
        skip: &str,
    ) -> Self {
        let who = match &holder {
            Some(holder) if holder.this_process => format!(
                "this process has it itself, in a guard or in a call of another thread or task ({holder})"
            ),
            Some(holder) => match holder.held_for {
                Some(time) => format!("{holder} has had it for {}", humanize::duration(time)),
                None => format!("{holder} has it"),
            },
            None => "whoever has it can't be seen".to_owned(),
        };
        let advice = match waited {
            Some(waited) if !waited.is_zero() => format!(
                "and waiting for {waited:?} was not enough; wait longer with `timeout`, or {skip}"
            ),
            Some(_) => {
                format!("and it was tried only once; wait for it with `timeout`, or {skip}")
            }
            // Then the session had a limit.
            None => format!(
                "and waiting for as long as `lock_timeout` says was not enough; wait longer with `timeout`, or {skip}"
            ),
        };
        let mut error = Self::new(
            ErrorKind::Busy,
            format!("lock {id} is busy: {who}, {advice}"),
        );
        error.0.holder = holder;
        error
    }

    pub(crate) fn lost(id: &dyn fmt::Display, why: &str) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was lost: {why}; others may have run since, so check what was done before a retry"
            ),
        )
    }

    pub(crate) fn lost_by(id: &dyn fmt::Display, why: &str, failure: Failure) -> Self {
        Self::lost(id, why).caused_by(failure)
    }

    pub(crate) fn left_open(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "a transaction was left open under lock {id}, and was rolled back before the release, since the next holder would not have seen its work; commit it before the release"
        ))
    }

    pub(crate) fn held_too_long(id: &dyn fmt::Display, limit: Duration) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was held for longer than its hold_at_most ({limit:?}), so the body was stopped before the lock was released; check what was done before a retry, and raise hold_at_most if the work needs longer"
            ),
        )
    }

    /// The same while the body still runs.
    pub(crate) fn held_past_limit(id: &dyn fmt::Display, limit: Duration) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} has been held for longer than its hold_at_most ({limit:?}), and the body will be stopped at its next await; end it now, and raise hold_at_most if the work needs longer"
            ),
        )
    }

    pub(crate) fn lost_to_fork(id: &dyn fmt::Display) -> Self {
        Self::lost(id, "this process was forked from the one that holds it")
    }

    pub(crate) fn engine_ended(id: &dyn fmt::Display) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "pglock's thread ended while lock {id} was waited for; call again, and a new one starts"
            ),
        )
    }

    /// A statement failed before the lock was had; `failure` decides of which kind that is.
    pub(crate) fn not_acquired(id: &dyn fmt::Display, failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                format!(
                    "the session ended while lock {id} was waited for; call again once the server is back"
                ),
            )
        } else if failure.is(&SqlState::T_R_DEADLOCK_DETECTED) {
            (
                ErrorKind::Deadlock,
                format!(
                    "waiting for lock {id} would have waited for ever, since its holder waits for a lock of ours; take locks in the same order everywhere"
                ),
            )
        } else if failure.is(&SqlState::QUERY_CANCELED) {
            (
                ErrorKind::Database,
                format!(
                    "waiting for lock {id} was canceled in the server, by someone else or by a `statement_timeout`; call again if that was a mistake"
                ),
            )
        } else if failure.is(&SqlState::UNDEFINED_TABLE)
            || failure.is(&SqlState::INVALID_SCHEMA_NAME)
        {
            (
                ErrorKind::Config,
                format!(
                    "lock {id} can't be taken, since there is no such table; check the spelling, upper and lower case too, or name its schema"
                ),
            )
        } else if failure.is(&SqlState::OUT_OF_MEMORY) {
            (
                ErrorKind::Database,
                format!(
                    "lock {id} did not fit into the server's memory, most likely its lock table; raise `max_locks_per_transaction`"
                ),
            )
        } else {
            (
                ErrorKind::Database,
                format!("postgres refused to take lock {id}; the source says why"),
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn inside_a_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was asked for inside a transaction, where a session lock would be released at the wrong time; use `acquire_xact` (or `xact`) on the transaction, or ask before it begins"
        ))
    }

    pub(crate) fn outside_a_transaction(id: &dyn fmt::Display, failure: Failure) -> Self {
        Self::config(format!(
            "lock {id} was asked for in a transaction that is not open; begin one first, as in `conn.transaction(|conn| ..)`"
        ))
        .caused_by(failure)
    }

    pub(crate) fn in_aborted_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was asked for in a transaction that an earlier error has aborted; roll back first"
        ))
    }

    pub(crate) fn waits_for_itself(id: &dyn fmt::Display, holder: &str) -> Self {
        Self::config(format!(
            "lock {id} is already held by {holder}, so this call would wait for itself; release it first, or use a `timeout`"
        ))
    }

    pub(crate) fn exclusive_inside_shared(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is held as shared by a call enclosing this one, so asking for it as exclusive would wait for itself; take it as exclusive outside"
        ))
    }

    pub(crate) fn no_table(name: &str) -> Self {
        Self::config(format!(
            "there is no table {name}; check the spelling, upper and lower case too, or name its schema"
        ))
    }
}

/// Busy is no error for who only tries.
pub(crate) fn unless_busy<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_busy() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How to go without an advisory lock.
pub(crate) const SKIP: &str = "skip with `side_effect = Skip` or `try_acquire`";

/// How to go without a table lock.
pub(crate) const TRY_LOCK: &str = "try with `try_lock`";

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            pid: 42,
            application_name: "pglock: worker-1".into(),
            user: Some("app".into()),
            client_addr: None,
            this_process: false,
            query: Some("SELECT 'secret'".into()),
            since: None,
            held_for: None,
        }
    }

    #[test]
    fn busy_names_the_holder_and_not_its_query() {
        let error = Error::busy(
            &"\"invoices\"",
            Some(Duration::from_secs(2)),
            Some(holder()),
            SKIP,
        );
        assert!(error.is_busy());
        let text = error.to_string();
        assert!(
            text.contains(
                r#"lock "invoices" is busy: pid 42 ("pglock: worker-1", user "app") has it"#
            ),
            "{text}"
        );
        assert!(text.contains("waiting for 2s"), "{text}");
        assert!(!format!("{error} {error:?} {:?}", error.holder()).contains("secret"));
    }

    #[test]
    fn a_finished_body_is_said_once() {
        let error = Error::lost(&1, "its session ended")
            .after_the_body()
            .after_the_body();
        assert!(error.body_finished());
        assert_eq!(error.to_string().matches("had finished").count(), 1);
    }
}
