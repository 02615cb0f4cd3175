//! What is said of a session that could not be had, or can't carry a lock.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind};
use crate::tls;
use crate::wire::Failure;

impl Error {
    #[cfg(feature = "rustls")]
    pub(crate) fn tls(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::config(message).sourced(source)
    }

    pub(crate) fn no_session(purpose: &dyn fmt::Display, place: &str, failure: Failure) -> Self {
        let why = why_no_session(&failure);
        Self::new(
            ErrorKind::Connect,
            format!("there is no session for {purpose}: connecting to {place} failed, {why}"),
        )
        .caused_by(failure)
    }

    pub(crate) fn connect_timeout(
        purpose: &dyn fmt::Display,
        place: &str,
        after: Duration,
    ) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "there is no session for {purpose}: {place} did not answer within {after:?}; check the network, or raise `connect_timeout` in the url"
            ),
        )
    }

    pub(crate) fn pooler(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} can't be kept through {place}: it is a pooler that gives each transaction another session of the server (transaction or statement mode), where a session lock goes astray; use `xact`, or connect to postgres directly or to a pool in session mode"
        ))
    }

    pub(crate) fn standby(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} is of no use on {place}: it is a standby, and locks there exclude nobody on the primary; name the primary, or all hosts with `target_session_attrs=read-write`"
        ))
    }

    pub(crate) fn no_locks(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} would exclude nobody on {place}: it gave two sessions one exclusive lock at the same time, as some databases do that only speak postgres's protocol; use a postgres server"
        ))
    }

    pub(crate) fn lock_table(id: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "lock {id} was not asked for, since this process holds so many on {place} that they fill half of the server's lock table, and a full one stops everybody; hold fewer at once, or raise `max_locks_per_transaction`"
        ))
    }

    pub(crate) fn not_postgres(purpose: &dyn fmt::Display, place: &str, failure: Failure) -> Self {
        Self::environment(format!(
            "{purpose} can't be had on {place}: it doesn't know what every postgres server since version 13 knows, so it may only speak its protocol; use a postgres server"
        ))
        .caused_by(failure)
    }
}

/// The cause and the remedy, in our words: the source's own are behind it, and may be another language's.
fn why_no_session(failure: &Failure) -> &'static str {
    const UNKNOWN: &str =
        "for the reason in the source; check that the server runs and the url is right";
    if let Some(state) = &failure.sql_state {
        return match *state {
            SqlState::INVALID_PASSWORD => "since the password is wrong, or there is no such user",
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "since the server refuses this user from this host; check the user's name, pg_hba.conf, and whether it wants TLS (`sslmode`)"
            }
            SqlState::INVALID_CATALOG_NAME => "since there is no such database",
            SqlState::TOO_MANY_CONNECTIONS => {
                "since the server has no free connection; hold fewer locks at once, or raise `max_connections`"
            }
            SqlState::PROTOCOL_VIOLATION
                if failure.source.to_string().contains("startup parameter")
                    || (failure.source.source())
                        .is_some_and(|cause| cause.to_string().contains("startup parameter")) =>
            {
                "since a pooler refuses what the url sets (`options`); leave it out, or name it in the pooler's `ignore_startup_parameters`"
            }
            SqlState::CANNOT_CONNECT_NOW => "since the server is starting or stopping; call again",
            _ => UNKNOWN,
        };
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&*failure.source);
    while let Some(error) = cause {
        if let Some(why) = tls::why_no_session(error) {
            return why;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    "since nothing listens there; check the port, and that the server runs"
                }
                std::io::ErrorKind::NotFound => {
                    "since there is no such socket; check the folder and the port, and that the server runs"
                }
                std::io::ErrorKind::PermissionDenied => "since this user may not use the socket",
                std::io::ErrorKind::TimedOut => {
                    "since it did not answer; check the host and the network"
                }
                _ if io.to_string().contains("lookup") => "since the host's name can't be resolved",
                _ => UNKNOWN,
            };
        }
        if error.to_string() == "password missing" {
            return "since the server asks for a password, and the url has none";
        }
        cause = error.source();
    }
    UNKNOWN
}
