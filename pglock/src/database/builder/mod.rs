//! Building a database handle from a URL, the driver's configuration, or another handle.

mod settings;

#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;

use super::credentials::{AskPassword, CurrentCredentials, PasswordSource};
use super::handle::{Attached, Database, Settings};
use super::session_name::session_name;
use super::source::{ConfigSource, DatabaseConfig};
use super::tls::Tls;
use crate::background::close_copies_in_child;
use crate::error::Error;
use crate::model::liveness::Liveness;

/// How long connecting may take unless the URL sets `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many sessions may be those of one lock each, unless the builder says otherwise.
const MAX_SESSIONS: usize = 16;

/// How long a session is kept that nobody uses, unless the builder says otherwise.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

impl Database {
    /// Starts a handle from a URL, a keyword string (`host=... dbname=...`), or a [`tokio_postgres::Config`].
    ///
    /// Options have the names and the meaning [that libpq gives
    /// them](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS). What pglock cannot do is refused,
    /// and the error says what to write instead: `target_session_attrs=standby`, for example, where locks exclude nobody on
    /// the primary. Without a host, it is the folder with the sockets of a local server. `passfile` is read for each session,
    /// `service` and `servicefile` once.
    ///
    /// As with libpq, what a URL or a keyword string leaves out comes from [the
    /// environment](https://www.postgresql.org/docs/current/libpq-envars.html) (`PGPORT`, `PGPASSWORD`, `PGSSLMODE`, ..), and a
    /// password that is in neither from `~/.pgpass`. [`DatabaseConfig::from_env`] takes all from there. A
    /// [`tokio_postgres::Config`] is used as it is.
    ///
    /// # TLS
    ///
    /// Needs the feature `rustls`. `sslmode` and the related options have the meaning [that libpq gives
    /// them](https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION), in a URL and in a keyword string:
    ///
    /// | `sslmode` | sessions are | the server's certificate is |
    /// | --- | --- | --- |
    /// | `disable` | not encrypted | not used |
    /// | `allow` | encrypted if the server wants that | not verified |
    /// | `prefer`, the default | encrypted if that works, else not | not verified |
    /// | `require` | encrypted | not verified, unless `sslrootcert` names a file: then as `verify-ca` |
    /// | `verify-ca` | encrypted | verified, except for the host's name; needs a file as `sslrootcert` |
    /// | `verify-full` | encrypted | verified, and must be for the host's name (or address) in the URL |
    ///
    /// Below `verify-ca`, an attacker between client and server can read everything and pass for the server. With
    /// `channel_binding=require` that is impossible too, if the server asks for a password (SCRAM-SHA-256-PLUS). Use
    /// `verify-full` where you can.
    ///
    /// `sslrootcert` is a PEM file with the trusted authorities, or `system` for those of the operating system, or of the
    /// environment's `SSL_CERT_FILE`; `verify-full` without it uses `system`. `sslcert` and `sslkey` are PEM files with the
    /// client's own certificate and its key. All files are read at [`build`](DatabaseBuilder::build), and again for each
    /// session.
    ///
    /// pglock is stricter than libpq in some points: `sslrootcert` turns `allow` and `prefer` into `verify-full`, and with `system` also
    /// `require`; `verify-ca` cannot be combined with `system`; files in the home directory are not used. Certificates must
    /// have version 3, and name the host as a subject alternative name. As with libpq, a unix socket never has TLS.
    ///
    /// Without the feature, a URL that asks for more than `prefer` is rejected, and `allow` and `prefer` mean `disable`.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let reports = pglock::Database::builder("postgres://app@db.example/reports?sslmode=prefer").build()?;
    /// assert!(pglock::Database::builder("postgres://app@db.example/?port=x").build().unwrap_err().is_config());
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(config: impl Into<DatabaseConfig>) -> DatabaseBuilder {
        DatabaseBuilder {
            config: config.into(),
            application_name: None,
            #[cfg(feature = "rustls")]
            root_certificates: None,
            heartbeat: None,
            lease: None,
            max_sessions: None,
            idle_timeout: None,
            password: None,
        }
    }
}

/// Builds a [`Database`]: see [`Database::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build()`"]
pub struct DatabaseBuilder {
    config: DatabaseConfig,
    application_name: Option<String>,
    #[cfg(feature = "rustls")]
    root_certificates: Option<PathBuf>,
    heartbeat: Option<Duration>,
    lease: Option<Duration>,
    max_sessions: Option<usize>,
    idle_timeout: Option<Duration>,
    password: Option<AskPassword>,
}

impl DatabaseBuilder {
    /// Builds the handle, without connecting.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let by_url = pglock::Database::builder("postgres://app@db.example/app").build()?;
    /// let by_keywords = pglock::Database::builder("host=db.example user=app dbname=app").build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL cannot be parsed, when a file for TLS cannot be read, when
    /// the URL asks for TLS without the feature `rustls`, or when the heartbeat, the lease or `max_sessions` is out of range.
    pub fn build(self) -> Result<Database, Error> {
        self.build_for("`Database::builder`")
    }

    /// Like [`build`](Self::build). `place` says in errors where the URL is from.
    pub(super) fn build_for(self, place: &str) -> Result<Database, Error> {
        close_copies_in_child();
        let liveness = self.liveness()?;
        let max_sessions = self.checked_max_sessions()?;
        let idle_timeout = match (self.idle_timeout, &self.config.0) {
            (None, ConfigSource::Database(database)) => database.idle_timeout(),
            (given, _) => given.unwrap_or(IDLE_TIMEOUT),
        };
        let is_unchanged = self.is_unchanged();
        let place = self.config.0.place().unwrap_or(place);
        let within = |error: Error| match place {
            "" => error,
            place => error.within(place),
        };
        let mut given = match self.config.0 {
            ConfigSource::Database(database)
                if is_unchanged
                    && liveness == database.liveness()
                    && max_sessions == database.max_sessions()
                    && idle_timeout == database.idle_timeout() =>
            {
                return Ok(database);
            }
            source => source.read().map_err(within)?,
        };
        if let Some(ask) = self.password {
            given.credentials.password = PasswordSource::Asked(ask);
        }
        #[cfg(feature = "rustls")]
        if let Some(path) = self.root_certificates {
            given.tls = given.tls.with_roots(path);
        }
        let tls = Tls::new(&given.tls, &mut given.config).map_err(within)?;
        let given_name = self
            .application_name
            .as_deref()
            .or(given.config.get_application_name());
        let name = session_name(given_name);
        given.config.application_name(name);
        let connect_timeout = set_connect_timeout(&mut given.config);
        let mut config = given.config.clone();
        liveness.keep_alive(&mut config);
        Ok(Database(Arc::new(Settings {
            config,
            credentials: CurrentCredentials::new(given.credentials.clone()),
            given,
            tls,
            connect_timeout,
            liveness,
            max_sessions,
            idle_timeout,
            attached: Attached::default(),
        })))
    }

    fn checked_max_sessions(&self) -> Result<Option<usize>, Error> {
        match (self.max_sessions, &self.config.0) {
            (Some(0), _) => Err(Error::config(
                "`max_sessions` is 0, so no lock could be acquired; write 1 or more",
            )),
            (None, ConfigSource::Database(database)) => Ok(database.max_sessions()),
            (given, _) => Ok(Some(given.unwrap_or(MAX_SESSIONS))),
        }
    }

    fn liveness(&self) -> Result<Liveness, Error> {
        let before = match &self.config.0 {
            ConfigSource::Database(database) => database.liveness(),
            _ => Liveness::default(),
        };
        before
            .with(self.heartbeat, self.lease)
            .map_err(Error::config)
    }

    fn is_unchanged(&self) -> bool {
        #[cfg(feature = "rustls")]
        if self.root_certificates.is_some() {
            return false;
        }
        self.application_name.is_none() && self.password.is_none()
    }
}

/// How long connecting may take in total. The driver's own limit is for one TCP connect; this one is for all hosts, and
/// covers a server that accepts the connection and then sends nothing.
fn set_connect_timeout(config: &mut Config) -> Duration {
    let timeout = match config.get_connect_timeout() {
        Some(timeout) if !timeout.is_zero() => *timeout,
        _ => CONNECT_TIMEOUT,
    };
    config.connect_timeout(timeout);
    let addresses = config.get_hosts().len().max(config.get_hostaddrs().len());
    timeout.saturating_mul(u32::try_from(addresses).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_are_one_database() {
        let database = |url: &str| Database::builder(url).build().unwrap();
        assert_eq!(
            database("postgres://app@localhost/app"),
            database("postgres://app@localhost/app")
        );
        assert_ne!(
            database("postgres://app@localhost/app"),
            database("postgres://app@localhost/other")
        );
    }

    #[cfg(not(feature = "rustls"))]
    #[test]
    fn tls_is_refused_without_the_feature_and_not_left_out() {
        for options in [
            "sslmode=require",
            "sslmode=verify-full",
            "sslmode=verify-ca&sslrootcert=/ca.pem",
            "sslrootcert=system",
        ] {
            let error = Database::builder(format!("postgres://app@localhost/app?{options}"))
                .build()
                .unwrap_err();
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains("feature `rustls`"), "{error}");
        }
        for fine in ["sslmode=prefer", "sslmode=disable&sslrootcert=system"] {
            Database::builder(format!("postgres://app@localhost/app?{fine}"))
                .build()
                .unwrap();
        }
    }
}
