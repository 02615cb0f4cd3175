//! Errors of locks that were not acquired, or not kept.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::humanize;
use super::{Error, ErrorKind, Failure, Found, Holder, SEE_SOURCE};

impl Error {
    /// `waited` is `None` when the session's own `lock_timeout` ended the wait; `skip` says how to go on without the lock.
    ///
    /// The message is for whoever wanted the work done, such as the client of a web service. What can be done about it in
    /// the program or the database is the hint.
    pub(crate) fn busy(
        id: &dyn fmt::Display,
        waited: Option<Duration>,
        found: Found,
        skip: &str,
    ) -> Self {
        Self::busy_as(&format!("lock {id} is busy"), "", waited, found, skip)
    }

    pub(super) fn busy_as(
        what: &str,
        one_is: &str,
        waited: Option<Duration>,
        found: Found,
        skip: &str,
    ) -> Self {
        let is_try = waited.is_some_and(|waited| waited.is_zero());
        let after = match waited {
            Some(_) if is_try => String::new(),
            Some(waited) => format!(" after a wait of {}", humanize::duration(waited)),
            None => " after a wait as long as `lock_timeout`".to_owned(),
        };
        let (who, holder) = match found {
            Found::Holder(holder) => (format!("{one_is}{}", held_by(&holder)), Some(*holder)),
            Found::Nobody => ("its holder is gone by now".to_owned(), None),
            Found::NotVisible => ("its holder is not visible to this role".to_owned(), None),
            Found::Unknown => ("its holder is not known".to_owned(), None),
        };
        let wait = if is_try {
            "set a `timeout` to wait for it"
        } else {
            "wait longer with `timeout`"
        };
        let mut hint = format!("{wait}, or {skip}");
        if let Some(remedy) = holder.as_ref().and_then(Holder::remedy) {
            hint.insert_str(0, &format!("{remedy}; "));
        }
        let message = format!("{what}{after}: {who}");
        let mut error = Self::new(ErrorKind::Busy, message);
        error.0.holder = holder;
        error.0.hint = Some(hint);
        error
    }

    pub(crate) fn lost(id: &dyn fmt::Display, why: &str) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was lost: {why}; others may have run since, so check what was done before you retry"
            ),
        )
    }

    pub(crate) fn left_open(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "a transaction was left open under lock {id}, and was rolled back before the release, because the next holder would not have seen its work; commit it before the release"
        ))
    }

    pub(crate) fn held_too_long(id: &dyn fmt::Display, limit: Duration) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was held for longer than its `hold_at_most` ({}), so the body was stopped before the lock was released; check what was done before you retry, and raise `hold_at_most` if the work needs longer",
                humanize::duration(limit)
            ),
        )
    }

    /// The same while the body still runs.
    pub(crate) fn held_past_limit(id: &dyn fmt::Display, limit: Duration) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} has been held for longer than its `hold_at_most` ({}), and the body will be stopped at its next await; return now, and raise `hold_at_most` if the work needs longer",
                humanize::duration(limit)
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
                "pglock's thread ended during the wait for lock {id}; call again, which starts a new thread"
            ),
        )
    }

    /// A statement failed before the lock was acquired; `failure` decides the kind.
    pub(crate) fn not_acquired(id: &dyn fmt::Display, failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                format!(
                    "the session ended during the wait for lock {id}; call again once the server is back"
                ),
            )
        } else if failure.is(&SqlState::T_R_DEADLOCK_DETECTED) {
            (
                ErrorKind::Deadlock,
                format!(
                    "the wait for lock {id} was a deadlock: its holder waits for a lock of this session; acquire locks in the same order everywhere"
                ),
            )
        } else if failure.is(&SqlState::QUERY_CANCELED) {
            (
                ErrorKind::Database,
                format!(
                    "the wait for lock {id} was canceled in the server, by another session or by a `statement_timeout`; call again if that was a mistake"
                ),
            )
        } else if failure.is(&SqlState::UNDEFINED_TABLE)
            || failure.is(&SqlState::INVALID_SCHEMA_NAME)
        {
            (
                ErrorKind::Config,
                format!(
                    "cannot acquire lock {id}: there is no such table; check the spelling, including upper and lower case, or name its schema"
                ),
            )
        } else if failure.is(&SqlState::OUT_OF_MEMORY) {
            (
                ErrorKind::Database,
                format!(
                    "cannot acquire lock {id}: the server is out of memory, most likely because its lock table is full; raise `max_locks_per_transaction`"
                ),
            )
        } else {
            (
                ErrorKind::Database,
                format!("cannot acquire lock {id}: postgres refused the statement; {SEE_SOURCE}"),
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    /// A deadlock that pglock has found, not Postgres.
    pub(crate) fn deadlock(id: &dyn fmt::Display) -> Self {
        Self::new(
            ErrorKind::Deadlock,
            format!(
                "the wait for lock {id} was a deadlock: its holder waits for a lock that this call holds; acquire locks in the same order everywhere"
            ),
        )
    }

    pub(crate) fn inside_a_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was requested inside a transaction, where a session lock would be released at the wrong time; use `acquire_xact` (or `xact`) on the transaction, or request the lock before it begins"
        ))
    }

    pub(crate) fn outside_a_transaction(id: &dyn fmt::Display, failure: Failure) -> Self {
        Self::config(format!(
            "lock {id} needs a transaction, and none is open; begin one first, as in `conn.transaction(|conn| ..)`"
        ))
        .caused_by(failure)
    }

    pub(crate) fn in_aborted_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was requested in a transaction that an earlier error has aborted; roll back first"
        ))
    }

    /// A guard is not a call, so it does not share the lock of the call around it.
    pub(crate) fn held_by_enclosing_call(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is already held by the call around this one, so a guard for it would wait for itself; use `run`, which shares the lock of the call, or leave the guard out"
        ))
    }

    pub(crate) fn held_by_own_guard(id: &dyn fmt::Display, waited: Option<Duration>) -> Self {
        let waited = humanize::duration(waited.unwrap_or_default());
        Self::config(format!(
            "lock {id} is held by this process, in a guard that was last used on this thread and has not been released for {waited}, so this call would most likely wait for itself; release the guard first, or set a `timeout` to wait for longer"
        ))
    }

    /// The macro says the same of a timeout that it can see.
    pub(crate) fn never_skips(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is to be skipped when it is busy, but its timeout is `None`, with which a call waits and would never skip; set a duration, or zero to try once"
        ))
    }

    pub(crate) fn not_reentrant(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is held by a call around this one, and one of them is not `reentrant`; make this call on another thread or task, or after that one"
        ))
    }

    pub(crate) fn exclusive_inside_shared(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is held as shared by an enclosing call, so acquiring it as exclusive would wait for that call; acquire it as exclusive in the enclosing call"
        ))
    }

    pub(crate) fn no_table(name: &str) -> Self {
        Self::config(format!(
            "there is no table {name}; check the spelling, including upper and lower case, or name its schema"
        ))
    }
}

/// As in "held for 2.3 s by pid 42".
pub(super) fn held_by(holder: &Holder) -> String {
    if holder.queued {
        return format!("queued behind {holder}, which waits for it too");
    }
    let held = match holder.held_for {
        Some(time) => format!("held for {}", humanize::duration(time)),
        None => "held".to_owned(),
    };
    let who = if holder.this_process {
        format!("{held} by this process itself, as {holder}")
    } else {
        format!("{held} by {holder}")
    };
    match holder.kept_for {
        Some(time) => format!(
            "{who}, whose work has ended, and kept for {} more",
            humanize::duration(time)
        ),
        None => who,
    }
}

/// For the `try_` forms, to which a busy lock is not an error.
pub(crate) fn unless_busy<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_busy() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How to go on without an advisory lock.
pub(crate) const SKIP: &str = "skip with `side_effect = Skip` or `try_acquire`";

/// How to go on without a table lock.
pub(crate) const TRY_LOCK: &str = "try with `try_lock`";

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            pid: 42,
            queued: false,
            prepared: None,
            backend_type: Some("CLIENT_BACKEND".into()),
            application_name: "pglock: worker-1".into(),
            user: Some("app".into()),
            client_addr: None,
            this_process: false,
            query: Some("SELECT 'secret'".into()),
            lock_name: None,
            since: None,
            held_for: None,
            kept_for: None,
        }
    }

    /// An error of a call that waited for 2 s.
    fn busy(found: Found) -> Error {
        Error::busy(&"\"invoices\"", Some(Duration::from_secs(2)), found, SKIP)
    }

    #[test]
    fn busy_names_the_holder_and_not_its_query() {
        let error = busy(Found::Holder(holder().into()));
        assert!(error.is_busy());
        assert_eq!(
            error.to_string(),
            r#"lock "invoices" is busy after a wait of 2 s: held by pid 42 ("pglock: worker-1", user "app")"#
        );
        assert!(!format!("{error} {error:?} {:?}", error.holder()).contains("secret"));
    }

    #[test]
    fn a_lock_that_is_kept_is_busy_for_how_long_still() {
        let kept = Holder {
            held_for: Some(Duration::from_secs(3)),
            kept_for: Some(Duration::from_secs(27)),
            ..holder()
        };
        assert_eq!(
            busy(Found::Holder(kept.into())).to_string(),
            r#"lock "invoices" is busy after a wait of 2 s: held for 3 s by pid 42 ("pglock: worker-1", user "app"), whose work has ended, and kept for 27 s more"#
        );
    }

    #[test]
    fn what_to_do_about_a_busy_lock_is_a_hint() {
        let prepared = Holder {
            prepared: Some("it's".into()),
            ..holder()
        };
        let here = Holder {
            this_process: true,
            ..holder()
        };
        for (found, begins) in [
            (Found::Unknown, "wait longer with `timeout`, or skip with"),
            (Found::NotVisible, "wait longer"),
            (Found::Holder(holder().into()), "wait longer"),
            (
                Found::Holder(prepared.into()),
                "end it with `ROLLBACK PREPARED 'it''s'`",
            ),
            (
                Found::Holder(here.into()),
                "find the guard, thread or task of this process",
            ),
        ] {
            let error = busy(found);
            let hint = error.hint().unwrap();
            assert!(hint.starts_with(begins), "{hint}");
            assert!(!error.to_string().contains('`'), "{error}");
            assert_eq!(format!("{error:?}"), format!("{error}\n  hint: {hint}"));
        }
        let tried = Error::busy(&1, Some(Duration::ZERO), Found::Nobody, TRY_LOCK);
        assert_eq!(
            tried.hint(),
            Some("set a `timeout` to wait for it, or try with `try_lock`")
        );
        assert_eq!(Error::lost(&1, "its session ended").hint(), None);
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
