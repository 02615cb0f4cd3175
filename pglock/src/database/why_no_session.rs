//! Why a session could not be opened, as a cause and a remedy in our words.
//!
//! The driver's own texts stay in the error's source. Some causes are told by their text alone; [`BY_TEXT`] has them all.

use std::error::Error as StdError;
use std::io;

use tokio_postgres::error::SqlState;

#[cfg(feature = "rustls")]
use super::tls;
use crate::error::Failure;

const UNKNOWN: &str = "the source says why; check that the server runs and that the url is right";

/// What the drivers and the kernel call a cause, and what we say.
const BY_TEXT: [(&str, &str); 4] = [
    (
        "server does not support TLS",
        "the server has no TLS, which the url asks for; turn on `ssl` in the server, or use `sslmode=disable` on a trusted network",
    ),
    (
        "server did not use channel binding",
        "the server cannot prove by the password that it is at the other end of the TLS, which the url's `channel_binding=require` asks for; leave that out, or use a server with SCRAM",
    ),
    (
        "password missing",
        "the server asks for a password and the url has none; add it as in `postgres://user:password@host/database`",
    ),
    (
        "failed to lookup address information",
        "the host's name cannot be resolved; check its spelling, and the name server",
    ),
];

/// The cause and the remedy.
pub(crate) fn why_no_session(failure: &Failure) -> &'static str {
    match &failure.sql_state {
        Some(state) => by_sql_state(state, failure).unwrap_or(UNKNOWN),
        None => causes(&*failure.source)
            .find_map(of_cause)
            .unwrap_or(UNKNOWN),
    }
}

fn by_sql_state(state: &SqlState, failure: &Failure) -> Option<&'static str> {
    let says = |text| causes(&*failure.source).any(|cause| cause.to_string().contains(text));
    Some(match *state {
        SqlState::INVALID_PASSWORD => {
            "the password is wrong, or there is no such user; check both in the url"
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server refuses this user from this host, or knows no such user; check the user's name, pg_hba.conf, and whether it asks for TLS (`sslmode`)"
        }
        SqlState::INVALID_CATALOG_NAME => "there is no such database; check its name in the url",
        SqlState::TOO_MANY_CONNECTIONS => {
            "the server has no free connection; hold fewer locks at once, or raise `max_connections`"
        }
        SqlState::PROTOCOL_VIOLATION if says("startup parameter") => {
            "a pooler refuses what the url sets (`options`); leave it out, or name it in the pooler's `ignore_startup_parameters`"
        }
        SqlState::CANNOT_CONNECT_NOW => "the server is starting or stopping; call again",
        _ => return None,
    })
}

fn of_cause(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    let text = cause.to_string();
    let by_text = BY_TEXT.iter().find(|(needle, _)| text.contains(needle));
    if let Some((_, why)) = by_text {
        return Some(why);
    }
    let io = cause.downcast_ref::<io::Error>()?;
    #[cfg(feature = "rustls")]
    if let Some(why) = tls::handshake::why_no_session(io) {
        return Some(why);
    }
    Some(match io.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; check the port, and that the server runs"
        }
        io::ErrorKind::NotFound => {
            "there is no such socket; check the folder and the port, and that the server runs"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not use the socket; check the permissions of its folder"
        }
        io::ErrorKind::TimedOut => "it did not answer; check the host and the network",
        _ => return None,
    })
}

fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_that_is_told_by_its_text_is_known_inside_others() {
        for (needle, why) in BY_TEXT {
            let inner = io::Error::other(format!("{needle}: and more"));
            let failure = Failure {
                sql_state: None,
                session_ended: true,
                source: Box::new(io::Error::other(inner)),
            };
            assert_eq!(why_no_session(&failure), why);
        }
    }

    #[test]
    fn the_name_of_a_host_that_does_not_exist_cannot_be_resolved() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let connected = runtime.block_on(tokio_postgres::connect(
            "host=nowhere.invalid",
            tokio_postgres::NoTls,
        ));
        let failure = Failure::from(connected.err().unwrap());
        let why = why_no_session(&failure);
        assert!(why.contains("cannot be resolved"), "{why}: {failure:?}");
    }
}
