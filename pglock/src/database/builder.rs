//! Building a database handle from a URL, the driver's configuration, or another handle.

#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;

use super::handle::{Attached, Database, Settings};
use super::session_name::session_name;
use super::source::{ConfigSource, DatabaseConfig};
use super::tls::Tls;
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
}

impl DatabaseBuilder {
    /// Sets the `application_name` of the sessions, after `pglock: `. It is shown to others when a lock is busy. Postgres keeps
    /// 63 bytes.
    ///
    /// Without it, and without `application_name` in the URL, it is `program@host`, shortened so that it fits. The host is left
    /// out where neither Linux nor the environment (`HOSTNAME`, on Windows `COMPUTERNAME`) says it.
    ///
    /// See also [`application_name`](https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME).
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

    /// Sets the PEM file with the authorities that may sign the server's certificate, or `system` for the operating system's.
    ///
    /// Overrides `sslrootcert` in the [URL](Database::builder), and like that makes pglock verify the server. Needs the feature
    /// `rustls`.
    ///
    /// See also [`sslrootcert`](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT).
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

    /// Sets the time within which pglock notices a silent network (no answer, no error): from 1 s to 1 h, by default 4 s.
    ///
    /// After that time a holder gets [`Lost`](crate::ErrorKind::Lost), and a waiter gets
    /// [`Connect`](crate::ErrorKind::Connect). The server releases the lock later: after three to four times as long. A single
    /// answer may take five eighths of the time.
    ///
    /// A session that holds locks and is otherwise silent gets four heartbeats in that time, so one a second by default. A
    /// heartbeat is one query with only a comment, which names the locks that the session has held longest. Idle sessions get
    /// none. For all sessions that wait for locks together, one more session gets heartbeats. It is opened when a wait has
    /// lasted for a quarter of the time. While it cannot be opened, because logins are slow or the server is full, waits go on,
    /// and only keepalives watch the network.
    ///
    /// Keepalive settings in the URL (`keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_retries`,
    /// `tcp_user_timeout`) override those that derive from this.
    ///
    /// See also [`tcp_user_timeout`](https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-TCP-USER-TIMEOUT)
    /// and the keepalive settings next to it, which pglock sets in the server and in the client.
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

    /// Sets how long a client may be silent before the server ends its session, and so releases its lock: from twice the
    /// heartbeat to 24 h. By default there is no such limit.
    ///
    /// It is for a process that is stopped (SIGSTOP, a debugger, a paused virtual machine), whose kernel still acknowledges
    /// what the server sends, and for proxies and poolers that hang. Such a process notices the loss of its lock only a moment
    /// after it resumes, so **until then its code can overlap with the next holder's**: work that must never overlap needs its
    /// own check where it writes. The lease does not run while a session waits in the server for a lock.
    ///
    /// See also [`idle_session_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT),
    /// and `idle_in_transaction_session_timeout`, which is used for [`xact`](crate::Advisory::xact).
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

    /// Sets how many sessions may be those of one lock each in this database: 1 or more, 16 by default.
    ///
    /// `xact` and dedicated locks have a session each, and so do waits in prioritized sections; all others share a few. Where
    /// all are in use, callers wait for one, in their order, instead of taking the last connections from others. That wait is part of the lock's `timeout`: when it is over, or at once for a single try, the error is
    /// [`Environment`](crate::ErrorKind::Environment), not [`Busy`](crate::ErrorKind::Busy), because nothing is known about
    /// the lock. `side_effect = Skip` does not skip it.
    ///
    /// A call inside a call comes on top, since it could wait for its own enclosing call. So do the sessions that cancel
    /// waits and look up holders, and the watcher of [prioritized](fn@crate::prioritize) sections.
    ///
    /// Guards are not calls: code that holds guards and acquires more of them without a timeout can wait for itself.
    ///
    /// Handles that differ in this are different databases to pglock, and each has its own limit.
    ///
    /// See also [`max_connections`](https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// let database = pglock::Database::builder(test.url()).max_sessions(1).build()?;
    /// let guard = pglock::advisory("one").using(&database).xact().acquire()?;
    /// let error = pglock::advisory("another").using(&database).xact().try_acquire().unwrap_err();
    /// assert!(error.is_environment());
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// Sets how long a session is kept that nobody uses: 60 s by default.
    ///
    /// A lock that comes later has to connect. Sessions beyond eight are kept for 10 s at most. It is looked every two seconds
    /// which are to be closed. To close them now, call [`close`](Database::close).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .idle_timeout(Duration::from_secs(5)) // a lock an hour needs no session in between
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

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
            given,
            config,
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
            ConfigSource::Text(_) | ConfigSource::Environment | ConfigSource::Config(_) => {
                Liveness::default()
            }
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
