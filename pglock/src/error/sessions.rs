//! Errors of sessions that cannot be opened, or cannot hold a lock.

#[cfg(feature = "rustls")]
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::{Error, ErrorKind, Failure, humanize};

impl Error {
    #[cfg(feature = "rustls")]
    pub(crate) fn tls(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::config(message).sourced(source)
    }

    pub(crate) fn no_session(
        opened_for: &dyn fmt::Display,
        place: &str,
        why: &str,
        failure: Failure,
    ) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!("cannot connect to {place} for {opened_for}: {why}"),
        )
        .caused_by(failure)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn no_server(what: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "{what} needs a server, and `Database::in_process()` has none; test it on Postgres, with a handle of `Database::builder`"
        ))
    }

    pub(crate) fn connect_timeout(
        opened_for: &dyn fmt::Display,
        place: &str,
        after: Duration,
    ) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "cannot connect to {place} for {opened_for}: it did not answer within {}; check the network, or raise `connect_timeout` in the URL",
                humanize::duration(after)
            ),
        )
    }

    pub(crate) fn all_sessions_in_use(
        opened_for: &dyn fmt::Display,
        place: &str,
        sessions: usize,
    ) -> Self {
        let all = if sessions == 1 {
            "the one session".to_owned()
        } else {
            format!("all {sessions} sessions")
        };
        Self::environment(format!(
            "{opened_for} was not requested, so it may be free: {all} of this process to {place} stayed in use; hold fewer locks at once, wait longer with `timeout`, or raise `max_sessions`"
        ))
    }

    pub(crate) fn pooler(opened_for: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{opened_for} cannot be held through {place}: it is a pooler that gives each transaction another session of the server (transaction or statement mode), where a session lock can stay on a session that you no longer have; use `xact`, or connect to postgres directly or to a pool in session mode"
        ))
    }

    pub(crate) fn standby(opened_for: &dyn fmt::Display, place: &str) -> Self {
        let mut error = Self::environment(format!(
            "{opened_for} has no effect on {place}: it is a standby, and locks there exclude nobody on the primary; name the primary, or all hosts with `target_session_attrs=primary`"
        ));
        error.0.is_of_standby = true;
        error
    }

    pub(crate) fn no_locks(opened_for: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{opened_for} would exclude nobody on {place}: it granted one exclusive lock to two sessions at the same time, as some databases do that only share the protocol of postgres; use a postgres server"
        ))
    }

    pub(crate) fn lock_table(id: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "lock {id} was not requested: the locks of this process on {place}, and a mark for each that a call holds while it waits, fill half of the server's lock table, and a full table stops every session; hold fewer locks at once, or raise `max_locks_per_transaction`"
        ))
    }

    pub(crate) fn no_wait_session(id: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "lock {id} was not requested: the call holds other locks, so it has to wait for this one on a session of the server, and all sessions on {place} that this process has for that are waiting; nest fewer calls at once"
        ))
    }

    pub(crate) fn not_postgres(
        opened_for: &dyn fmt::Display,
        place: &str,
        failure: Failure,
    ) -> Self {
        Self::environment(format!(
            "{opened_for} is not possible on {place}: it lacks functions that every postgres server since version 14 has, so it may be another database that shares the protocol; use a postgres server"
        ))
        .caused_by(failure)
    }
}
