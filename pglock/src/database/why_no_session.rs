//! Why a session could not be opened: cause and remedy for a message, from the driver's error.
//!
//! The driver's own text stays in the error's source. Causes that only the driver's text identifies are in [`BY_TEXT`].

use std::error::Error as StdError;
use std::io;

use tokio_postgres::error::{DbError, SqlState};

use super::tls;
use crate::error::Failure;

const UNKNOWN: &str = "print this error with `{:?}` to see why, and check that the server runs and that the URL is right";

/// A part of the driver's or the kernel's text, and our sentence for it.
const BY_TEXT: [(&str, &str); 7] = [
    (
        "server does not support TLS",
        "the server has no TLS, and the URL asks for it; turn on `ssl` in the server, or use `sslmode=disable` on a trusted network",
    ),
    (
        "server did not use channel binding",
        "the URL's `channel_binding=require` needs a server that supports channel binding; leave it out, or use a server with SCRAM passwords and TLS",
    ),
    (
        "target_session_attrs",
        "it is not what `target_session_attrs` asks for, nor is any other host in the URL; add the host that is, or use `primary` or `any`",
    ),
    (
        "others may read the password file",
        "the server asks for a password, and the password file is not used, since others may read it; make it yours alone with `chmod 0600`",
    ),
    (
        "the function for the password failed",
        "the function given to `password_with` failed, or took too long; print this error with `{:?}` to see why",
    ),
    (
        "password missing",
        "the server asks for a password and the URL has none; add it as in `postgres://user:password@host/database`, or set PGPASSWORD, or write it to `~/.pgpass`",
    ),
    (
        "failed to lookup address information",
        "the host name cannot be resolved; check its spelling and the name server",
    ),
];

const WANTS_ENCRYPTION: &str = if cfg!(feature = "rustls") {
    "the server accepts no sessions without encryption from here; use `sslmode=require` or more in the URL, or check pg_hba.conf"
} else {
    "the server accepts no sessions without encryption from here, and pglock is built without TLS; turn on pglock's feature `rustls`, or check pg_hba.conf"
};

/// The cause and the remedy.
pub(crate) fn why_no_session(failure: &Failure) -> &'static str {
    match &failure.sql_state {
        Some(state) => by_sql_state(state, failure).unwrap_or(UNKNOWN),
        None => failure.causes().find_map(of_cause).unwrap_or(UNKNOWN),
    }
}

fn by_sql_state(state: &SqlState, failure: &Failure) -> Option<&'static str> {
    if tls::is_for_encrypted_only(failure) {
        return Some(WANTS_ENCRYPTION);
    }
    Some(match *state {
        SqlState::INVALID_PASSWORD => {
            "the password is wrong, or there is no such user; check both in the URL"
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION if is_of_role(failure) => {
            "the server has no such user, or it may not log in; check the user's name in the URL, or create it with `CREATE ROLE .. LOGIN`"
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server rejects this user from this host; check the user's name, pg_hba.conf, and whether it asks for TLS (`sslmode`)"
        }
        SqlState::INVALID_CATALOG_NAME => "there is no such database; check its name in the URL",
        SqlState::TOO_MANY_CONNECTIONS => {
            "the server has no free connection; hold fewer locks at once, or raise `max_connections`"
        }
        SqlState::PROTOCOL_VIOLATION if failure.says("startup parameter") => {
            "a pooler rejects a parameter that the URL sets (`options`); leave it out, or add it to the pooler's `ignore_startup_parameters`"
        }
        SqlState::CANNOT_CONNECT_NOW => "the server is starting or stopping; call again",
        _ => return None,
    })
}

/// Whether the server let the connection in, and then found no role for it. The text depends on the server's language, the
/// function that it is from does not.
fn is_of_role(failure: &Failure) -> bool {
    let mut replies = failure
        .causes()
        .filter_map(|it| it.downcast_ref::<DbError>());
    replies.any(|reply| {
        reply
            .routine()
            .is_some_and(|routine| routine.starts_with("InitializeSessionUserId"))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn causes_are_found_by_their_text_inside_other_errors() {
        for (needle, why) in BY_TEXT {
            let inner = io::Error::other(format!("{needle}: and more"));
            let failure = Failure {
                source: Arc::new(io::Error::other(inner)),
                ..Failure::session_ended()
            };
            assert_eq!(why_no_session(&failure), why);
        }
    }

    #[cfg(not(feature = "rustls"))]
    #[test]
    fn a_server_that_wants_tls_is_reported_without_the_feature() {
        let server = pglock_tests::Server::builder().tcp(true).start();
        let rules = "local all all trust\nhostssl all all all trust\n";
        std::fs::write(server.data_dir().join("pg_hba.conf"), rules).unwrap();
        server.restart();
        let url = server.tcp_url("postgres");
        let here = crate::Database::builder(url).build().unwrap();
        let error = crate::advisory("x").using(&here).acquire().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("pglock's feature `rustls`"), "{error:?}");
    }

    #[test]
    fn a_host_that_does_not_exist_cannot_be_resolved() {
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
