//! What is said of a session that could not be had, or can't carry a lock.

#[cfg(feature = "rustls")]
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::{Error, ErrorKind, Failure};

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

    pub(crate) fn connect_timeout(
        opened_for: &dyn fmt::Display,
        place: &str,
        after: Duration,
    ) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "cannot connect to {place} for {opened_for}: it did not answer within {after:?}; check the network, or raise `connect_timeout` in the url"
            ),
        )
    }

    pub(crate) fn pooler(opened_for: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{opened_for} can't be kept through {place}: it is a pooler that gives each transaction another session of the server (transaction or statement mode), where a session lock goes astray; use `xact`, or connect to postgres directly or to a pool in session mode"
        ))
    }

    pub(crate) fn standby(opened_for: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{opened_for} is of no use on {place}: it is a standby, and locks there exclude nobody on the primary; name the primary, or all hosts with `target_session_attrs=read-write`"
        ))
    }

    pub(crate) fn no_locks(opened_for: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{opened_for} would exclude nobody on {place}: it gave two sessions one exclusive lock at the same time, as some databases do that only speak postgres's protocol; use a postgres server"
        ))
    }

    pub(crate) fn lock_table(id: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "lock {id} was not asked for, since this process holds so many on {place} that they fill half of the server's lock table, and a full one stops everybody; hold fewer at once, or raise `max_locks_per_transaction`"
        ))
    }

    pub(crate) fn not_postgres(
        opened_for: &dyn fmt::Display,
        place: &str,
        failure: Failure,
    ) -> Self {
        Self::environment(format!(
            "{opened_for} can't be had on {place}: it doesn't know what every postgres server since version 13 knows, so it may only speak its protocol; use a postgres server"
        ))
        .caused_by(failure)
    }
}
