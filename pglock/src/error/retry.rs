//! A lock that timed out in one of several tries, and what is said when none is left.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};

use super::find::chain;
use super::humanize;
use super::locks::held_by;
use super::{Error, ErrorKind, Found, Holder};

/// What the error of a body says of the lock that timed out.
///
/// `pub`, since what a hidden trait returns has it; the module is private.
#[derive(Debug)]
pub struct LockTimedOut {
    /// Who held it, if pglock has looked.
    pub(crate) holder: Option<Box<Holder>>,
    source: Arc<dyn StdError + Send + Sync>,
}

impl LockTimedOut {
    /// `None` if the error is about something else. Of pglock's errors and the server's, the outermost decides.
    pub(crate) fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        chain(error).find_map(says)?.ok()
    }

    fn of_server(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            holder: None,
            source: source.into().into(),
        }
    }
}

/// An error that says something else than that a lock timed out.
struct OfSomethingElse;

fn says(error: &(dyn StdError + 'static)) -> Option<Result<LockTimedOut, OfSomethingElse>> {
    if let Some(error) = error.downcast_ref::<Error>() {
        let timed_out = error.is_busy() && !error.is_not_due()
            || error.sql_state() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        return Some(if timed_out {
            Ok(LockTimedOut {
                holder: error.holder().cloned().map(Box::new),
                source: Arc::new(error.clone()),
            })
        } else {
            Err(OfSomethingElse)
        });
    }
    let timed_out = of_driver(error)?;
    Some(if timed_out {
        Ok(match error.downcast_ref::<DbError>() {
            Some(said) => LockTimedOut::of_server(said.clone()),
            // Of a type that can't be copied.
            None => LockTimedOut::of_server(error.to_string()),
        })
    } else {
        Err(OfSomethingElse)
    })
}

/// Whether it is the server's answer to a lock that timed out; `None` if it is no answer of the server's.
fn of_driver(error: &(dyn StdError + 'static)) -> Option<bool> {
    let is_timeout = |code: &str| code == SqlState::LOCK_NOT_AVAILABLE.code();
    if let Some(said) = error.downcast_ref::<DbError>() {
        return Some(is_timeout(said.code().code()));
    }
    #[cfg(feature = "sqlx")]
    if let Some(said) = error.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return Some(is_timeout(said.code()));
    }
    #[cfg(any(feature = "diesel", feature = "diesel-async"))]
    if let Some(diesel::result::Error::DatabaseError(_, said)) = error.downcast_ref() {
        return Some(is_timeout_in_english(said.message()));
    }
    None
}

/// By the texts of `lock_timeout` and `NOWAIT`: diesel hides the SQLSTATE.
#[cfg(any(feature = "diesel", feature = "diesel-async"))]
fn is_timeout_in_english(message: &str) -> bool {
    message == "canceling statement due to lock timeout"
        || message.starts_with("could not obtain lock on ")
}

impl Error {
    /// `limit` is how long the last try waited for a lock, if that had a bound.
    pub(crate) fn no_try_left(
        tries: u32,
        limit: Option<Duration>,
        last: LockTimedOut,
        found: Found,
        why_unknown: Option<&str>,
    ) -> Self {
        let each = match tries {
            1 => "the only try".to_owned(),
            tries => format!("each of {tries} tries"),
        };
        let after = match limit {
            Some(limit) if tries == 1 => format!(" of {}", humanize::duration(limit)),
            Some(limit) => format!(", the last of {}", humanize::duration(limit)),
            None => String::new(),
        };
        let (who, holder) = match found {
            Found::Holder(holder) => (held_by(&holder), Some(*holder)),
            Found::Nobody | Found::NotVisible | Found::Unknown => (
                match why_unknown {
                    Some(why) => format!("its holder is not known, because {why}"),
                    None => "its holder is not known".to_owned(),
                },
                None,
            ),
        };
        let mut hint =
            "allow more `tries`, or end who is in the way with `prioritize_from`".to_owned();
        if let Some(remedy) = holder.as_ref().and_then(Holder::remedy) {
            hint.insert_str(0, &format!("{remedy}; "));
        }
        let message = format!("{each} ended with a wait for a lock that timed out{after}: {who}");
        let mut error = Self::new(ErrorKind::Busy, message);
        error.0.holder = holder;
        error.0.hint = Some(hint);
        error.0.sql_state = Some(SqlState::LOCK_NOT_AVAILABLE);
        error.0.source = Some(last.source);
        error
    }

    pub(crate) fn retry_in_transaction() -> Self {
        Self::config(
            "tries in a transaction would keep its locks during the pauses, and the first that failed would abort it; retry outside, and begin the transaction in the body",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Wraps(Error);

    impl fmt::Display for Wraps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it failed")
        }
    }

    impl StdError for Wraps {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn busy() -> Error {
        Error::busy(&1, None, Found::Unknown, "..")
    }

    #[test]
    fn a_lock_that_timed_out_is_found_in_what_wraps_it() {
        assert!(LockTimedOut::find(&busy()).is_some());
        assert!(LockTimedOut::find(&Wraps(busy())).is_some());
        assert!(LockTimedOut::find(&std::io::Error::other(busy())).is_some());
        assert!(LockTimedOut::find(&std::io::Error::other("55P03")).is_none());
    }

    #[test]
    fn an_error_of_another_kind_that_was_caused_by_one_is_none() {
        let side_effect = Error::side_effect(busy());
        assert!(LockTimedOut::find(&side_effect).is_none());
        assert!(LockTimedOut::find(&Wraps(side_effect)).is_none());
    }

    #[test]
    fn what_is_said_when_no_try_is_left() {
        let last = || LockTimedOut::find(&busy()).unwrap();
        let error = Error::no_try_left(
            3,
            Some(Duration::from_millis(126)),
            last(),
            Found::Unknown,
            Some("the watcher needs a connection of its own"),
        );
        assert_eq!(
            error.to_string(),
            "each of 3 tries ended with a wait for a lock that timed out, the last of 126 ms: its holder is not known, because the watcher needs a connection of its own"
        );
        assert!(error.is_busy() && error.hint().is_some() && error.source().is_some());
        let error = Error::no_try_left(1, None, last(), Found::Unknown, None);
        assert_eq!(
            error.to_string(),
            "the only try ended with a wait for a lock that timed out: its holder is not known"
        );
    }
}
