//! Building a database's handle from a URL, the driver's configuration, or another handle.

use std::fmt;
#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;

use super::handle::{Database, Settings};
use super::tls::{self, Tls, TlsOptions};
use super::url;
use crate::error::Error;
use crate::model::liveness::Liveness;

/// How long connecting may take where the URL doesn't say (`connect_timeout`, in seconds).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Database {
    /// Starts a handle from a URL, a keyword string (`host=... dbname=...`), or a [`tokio_postgres::Config`].
    ///
    /// # TLS
    ///
    /// Needs the feature `rustls`. `sslmode` and its companions are [those of
    /// libpq](https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION), in a URL and in a keyword string:
    ///
    /// | `sslmode` | sessions are | the server's certificate is |
    /// | --- | --- | --- |
    /// | `disable` | not encrypted | not asked for |
    /// | `prefer`, the default | encrypted where that works, and else not | not verified |
    /// | `require` | encrypted | not verified, unless `sslrootcert` names a file: then as `verify-ca` |
    /// | `verify-ca` | encrypted | verified, except for the host's name; needs a file as `sslrootcert` |
    /// | `verify-full` | encrypted | verified, and must be for the host's name (or address) in the URL |
    ///
    /// Below `verify-ca` whoever sits between the server and us can read all and pass for the server; `channel_binding=require`
    /// rules that out where the server asks for a password (SCRAM-SHA-256-PLUS). Use `verify-full` where you can.
    ///
    /// `sslrootcert` is a PEM file with the authorities that are believed, or `system`, which is also what `verify-full` has
    /// without it: those of the operating system, or of the environment's `SSL_CERT_FILE`. `sslcert` and `sslkey` are PEM files with our own
    /// certificate and its key. They are read at [`build`](DatabaseBuilder::build), and again for each session.
    ///
    /// Some is safer than with libpq: `sslrootcert` makes `verify-full` of `prefer`, and with `system` also of `require`; `verify-ca` does not go
    /// with `system`; files in the home directory are not looked for. Certificates have to be of version 3, and name the host as subject
    /// alternative name. As with libpq, a unix socket has no TLS, whatever `sslmode` says.
    ///
    /// Without the feature, a URL that asks for more than `prefer` is refused, and `prefer` is as `disable`.
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
        }
    }
}

/// Where a database is: a URL, a keyword string, a [`tokio_postgres::Config`], or a [`Database`] that is made already.
#[derive(Clone)]
pub struct DatabaseConfig(ConfigSource);

#[derive(Clone)]
enum ConfigSource {
    Text(String),
    Config(Box<Config>),
    Database(Database),
}

impl fmt::Debug for DatabaseConfig {
    /// Shows nothing of the text, which may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").finish_non_exhaustive()
    }
}

impl From<&str> for DatabaseConfig {
    fn from(url: &str) -> Self {
        Self(ConfigSource::Text(url.to_owned()))
    }
}

impl From<String> for DatabaseConfig {
    fn from(url: String) -> Self {
        Self(ConfigSource::Text(url))
    }
}

impl From<&String> for DatabaseConfig {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl From<Config> for DatabaseConfig {
    fn from(config: Config) -> Self {
        Self(ConfigSource::Config(Box::new(config)))
    }
}

impl From<Database> for DatabaseConfig {
    fn from(database: Database) -> Self {
        Self(ConfigSource::Database(database))
    }
}

impl From<&Database> for DatabaseConfig {
    fn from(database: &Database) -> Self {
        Self::from(database.clone())
    }
}

/// Makes a [`Database`]: see [`Database::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build()`"]
pub struct DatabaseBuilder {
    config: DatabaseConfig,
    application_name: Option<String>,
    #[cfg(feature = "rustls")]
    root_certificates: Option<PathBuf>,
    heartbeat: Option<Duration>,
    lease: Option<Duration>,
}

impl DatabaseBuilder {
    /// What the sessions call themselves, behind `pglock: `; others see it when a lock is busy. Postgres keeps 63 bytes.
    ///
    /// Stands on [`application_name`](https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// let reports = pglock::Database::builder(database.url()).application_name("reports").build()?;
    /// let guard = pglock::advisory("nightly").using(&reports).acquire()?;
    /// let busy = pglock::advisory("nightly").using(&reports).timeout(std::time::Duration::ZERO).acquire().unwrap_err();
    /// assert_eq!(busy.holder().unwrap().application_name, "pglock: reports");
    /// # Ok(())
    /// # }
    /// ```
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// The PEM file with the authorities that may have signed the server's certificate, or `system` for the operating system's.
    ///
    /// As `sslrootcert` in the [URL](Database::builder), which it goes before: the server is verified then. Needs the
    /// feature `rustls`.
    ///
    /// Stands on [`sslrootcert`](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let error = pglock::Database::builder("postgres://app@db.example/app")
    ///     .root_certificates("/etc/no/such.pem")
    ///     .build()
    ///     .unwrap_err();
    /// assert!(error.is_config());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// Within which time a silent network (no answer, no error) is noticed: 4 s if not said otherwise, from 1 s to 1 h.
    ///
    /// Whoever holds a lock gets [`Lost`](crate::ErrorKind::Lost) then, whoever waits for one
    /// [`Connect`](crate::ErrorKind::Connect); the server frees the lock after three to four times that, so later. An answer may
    /// take five eighths of it. A session that holds locks and says nothing is asked four times in that time: one empty
    /// query a second for each held lock, with the default; idle sessions are not asked. While sessions wait for locks, one
    /// further session is asked as often for all of them.
    ///
    /// Keepalive settings in the URL (`keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_retries`,
    /// `tcp_user_timeout`) win over those that follow from this.
    ///
    /// Stands on [`tcp_user_timeout`](https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-TCP-USER-TIMEOUT)
    /// and the keepalives beside it, in the server and in the client.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .heartbeat(Duration::from_secs(10)) // over a slow link
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn heartbeat(mut self, bound: Duration) -> Self {
        self.heartbeat = Some(bound);
        self
    }

    /// How long a client may say nothing before the server ends its session, and so frees its lock: twice the heartbeat
    /// at least, 24 h at most. Never if not said otherwise.
    ///
    /// It is for processes that are stopped (SIGSTOP, a debugger, a virtual machine on hold), whose kernel goes on to
    /// answer for them, and for proxies and poolers that hang. Such a process learns that its lock is lost a moment after it runs again, so
    /// **its code may run beside the next holder's until then**: what must never overlap needs a check of its
    /// own where it writes. While a session waits in the server for a lock, its lease does not run.
    ///
    /// Stands on [`idle_session_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT),
    /// which Postgres 13 doesn't have, and for [`xact`](crate::Advisory::xact) on `idle_in_transaction_session_timeout`.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .lease(Duration::from_secs(30))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Makes the handle; nothing is connected yet.
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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL can't be read, when a file for TLS can't
    /// be, when it asks for TLS without the feature `rustls`, or when the heartbeat or the lease is out of range.
    pub fn build(self) -> Result<Database, Error> {
        let liveness = self.liveness()?;
        let is_unchanged = self.is_unchanged();
        let (mut config, options) = match self.config.0 {
            ConfigSource::Database(database) if is_unchanged && liveness == database.liveness() => {
                return Ok(database);
            }
            source => source.read()?,
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::config(
                "the database url names no host; write `postgres://user@host/database`",
            ));
        }
        #[cfg(feature = "rustls")]
        let options = match self.root_certificates {
            Some(path) => options.with_roots(path),
            None => options,
        };
        let tls = Tls::new(options, &mut config)?;
        let given_name = self
            .application_name
            .as_deref()
            .or(config.get_application_name());
        let name = application_name(given_name);
        config.application_name(name);
        let connect_timeout = set_connect_timeout(&mut config);
        let given = config.clone();
        liveness.keep_alive(&mut config);
        Ok(Database(Arc::new(Settings {
            given,
            config,
            tls,
            connect_timeout,
            liveness,
        })))
    }

    fn liveness(&self) -> Result<Liveness, Error> {
        let before = match &self.config.0 {
            ConfigSource::Database(database) => database.liveness(),
            ConfigSource::Text(_) | ConfigSource::Config(_) => Liveness::default(),
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
        self.application_name.is_none()
    }
}

impl ConfigSource {
    fn read(self) -> Result<(Config, TlsOptions), Error> {
        Ok(match self {
            Self::Text(text) => {
                let (rest, options) = tls::taken_out_of(&text)?;
                (url::parse(&rest)?, options)
            }
            Self::Config(config) => (*config, TlsOptions::default()),
            Self::Database(database) => (database.0.given.clone(), database.tls().asked().clone()),
        })
    }
}

/// What the sessions are called: something that says that they are pglock's.
fn application_name(given: Option<&str>) -> String {
    match given {
        Some(name) if name.starts_with("pglock: ") => name.to_owned(),
        Some(name) if !name.is_empty() && name != "pglock" => format!("pglock: {name}"),
        _ => "pglock".to_owned(),
    }
}

/// How long connecting may take in all. The driver's own limit is for one TCP connect; ours is for all hosts, and for a
/// server that says nothing.
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
    fn sessions_say_that_they_are_of_pglock() {
        let name = |url: &str| {
            let database = Database::builder(url).build().unwrap();
            database.config().get_application_name().unwrap().to_owned()
        };
        assert_eq!(name("postgres://app@localhost/app"), "pglock");
        assert_eq!(
            name("postgres://app@localhost/app?application_name=worker-1"),
            "pglock: worker-1"
        );
    }

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
        for asked in [
            "sslmode=require",
            "sslmode=verify-full",
            "sslmode=verify-ca&sslrootcert=/ca.pem",
            "sslrootcert=system",
        ] {
            let error = Database::builder(format!("postgres://app@localhost/app?{asked}"))
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
