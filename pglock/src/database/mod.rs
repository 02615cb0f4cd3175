//! Where pglock's own sessions connect: the default database, named ones, and handles.

pub(crate) mod tls;
mod why_no_session;

use std::collections::BTreeMap;
use std::fmt;
#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::error::Error;
use crate::model::liveness::Liveness;
pub(crate) use why_no_session::why_no_session;

use tls::Tls;

/// How long connecting may take where the URL doesn't say (`connect_timeout`, in seconds).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

static DEFAULT: OnceCell<DefaultDatabase> = OnceCell::new();
static REGISTERED: Mutex<BTreeMap<String, Database>> = Mutex::new(BTreeMap::new());

struct DefaultDatabase {
    database: Database,
    origin: &'static str,
}

/// A database that pglock opens sessions of its own to: a cheap handle, for `using =`.
///
/// Handles with the same settings are one database: they share sessions, and calls inside calls.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// let reports = pglock::Database::builder("postgres://app@reports.example/app").build()?;
/// reports.register("reports")?; // from now on also `using = "reports"`
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database(Arc<Settings>);

#[derive(PartialEq, Eq)]
struct Settings {
    /// As it was given, with what its sessions are called.
    given: Config,
    /// As it is used, with keepalives.
    config: Config,
    tls: Tls,
    connect_timeout: Duration,
    heartbeat: Liveness,
}

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

    /// Gives the database a name for `using = "name"`, and returns the handle once more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when another database has the name, or the name is `default`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// pglock::Database::builder(database.url()).build()?.register("reports")?;
    /// pglock::advisory("nightly").using("reports").acquire()?.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(&self, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name == "default" {
            return Err(Error::config(
                "the name `default` is taken; set the default database with `pglock::configure`",
            ));
        }
        let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        match registered.get(&name) {
            Some(other) if other != self => Err(Error::config(format!(
                "the name {name:?} is registered for another database; choose another name"
            ))),
            _ => {
                registered.insert(name, self.clone());
                Ok(self.clone())
            }
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.0.tls
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    pub(crate) fn heartbeat(&self) -> Liveness {
        self.0.heartbeat
    }

    /// Database, hosts, ports and user, for messages: never the password.
    pub(crate) fn place(&self) -> String {
        let config = self.config();
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts
            .enumerate()
            .map(|(at, host)| format!("{host}:{}", port(at)))
            .collect();
        let mut place = hosts.join(",");
        if let Some(name) = config.get_dbname() {
            place = format!("database {name:?} at {place}");
        }
        if let Some(user) = config.get_user() {
            place = format!("{place} as {user:?}");
        }
        place
    }
}

impl PartialEq for Database {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Database {}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.place()).finish()
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
        let heartbeat = match &self.config.0 {
            ConfigSource::Database(database) => database.heartbeat(),
            ConfigSource::Text(_) | ConfigSource::Config(_) => Liveness::default(),
        };
        let heartbeat = heartbeat
            .with(self.heartbeat, self.lease)
            .map_err(Error::config)?;
        let is_unchanged = self.application_name.is_none();
        #[cfg(feature = "rustls")]
        let is_unchanged = is_unchanged && self.root_certificates.is_none();
        let (mut config, asked) = match self.config.0 {
            ConfigSource::Text(text) => {
                let (rest, asked) = tls::taken_out_of(&text)?;
                (parse(&rest)?, asked)
            }
            ConfigSource::Config(config) => (*config, tls::TlsOptions::default()),
            ConfigSource::Database(database)
                if is_unchanged && heartbeat == database.heartbeat() =>
            {
                return Ok(database);
            }
            ConfigSource::Database(database) => {
                (database.0.given.clone(), database.tls().asked().clone())
            }
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::config(
                "the database url names no host; write `postgres://user@host/database`",
            ));
        }
        #[cfg(feature = "rustls")]
        let asked = match self.root_certificates {
            Some(path) => asked.with_roots(path),
            None => asked,
        };
        let tls = Tls::new(asked, &mut config)?;
        let application_name = match self
            .application_name
            .as_deref()
            .or(config.get_application_name())
        {
            Some(name) if name.starts_with("pglock: ") => name.to_owned(),
            Some(name) if !name.is_empty() && name != "pglock" => format!("pglock: {name}"),
            _ => "pglock".to_owned(),
        };
        config.application_name(application_name);
        let connect_timeout = match config.get_connect_timeout() {
            Some(timeout) if !timeout.is_zero() => *timeout,
            _ => CONNECT_TIMEOUT,
        };
        config.connect_timeout(connect_timeout);
        let given = config.clone();
        heartbeat.keep_alive(&mut config);
        let addresses = config.get_hosts().len().max(config.get_hostaddrs().len());
        // The driver's own limit is for one TCP connect; ours is for all hosts, and for a server that says nothing.
        let connect_timeout =
            connect_timeout.saturating_mul(u32::try_from(addresses).unwrap_or(u32::MAX));
        Ok(Database(Arc::new(Settings {
            given,
            config,
            tls,
            connect_timeout,
            heartbeat,
        })))
    }
}

fn parse(text: &str) -> Result<Config, Error> {
    let url = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    if url.is_some_and(is_cut_by_its_password) {
        return Err(Error::config(
            "the database url has an `@` too many, or a `/` or `?` before it; write those in the password as `%40`, `%2F` and `%3F`",
        ));
    }
    text.parse().map_err(|source| {
        let error =
            Error::config("the database url can't be read; write `postgres://user@host/database`");
        // Of a password that is an option, or taken for one, the parser may quote a word.
        let options = url.map(|url| url.split_once('?').map_or("", |(_, options)| options));
        if options.is_some_and(|options| !options.contains("password") && !options.contains('@')) {
            error.sourced(source)
        } else {
            error
        }
    })
}

/// Whether a password with an `@`, `/` or `?` in it is taken for a user, a host or a database, which messages show. The
/// parser takes all before the first `@` for user and password.
fn is_cut_by_its_password(url: &str) -> bool {
    let Some((credentials, rest)) = url.split_once('@') else {
        return false;
    };
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    credentials.contains(['/', '?']) || before_options.contains('@')
}

/// Sets the default database, for locks that name no other.
///
/// Without it the default is `DATABASE_URL`, read at the first lock. Setting the same again is fine.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL can't be read, or another default is set, or in use.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// let database = pglock::Database::builder("postgres://app@db.example/app").application_name("billing").build()?;
/// pglock::configure(&database)?;
/// pglock::configure(&database)?; // the same again
/// assert!(pglock::configure("postgres://app@db.example/other").unwrap_err().is_config());
/// # Ok(())
/// # }
/// ```
pub fn configure(config: impl Into<DatabaseConfig>) -> Result<(), Error> {
    let database = Database::builder(config).build()?;
    match DEFAULT.try_insert(DefaultDatabase {
        database,
        origin: "an earlier `pglock::configure`",
    }) {
        Ok(_) => Ok(()),
        Err((set, wanted)) if set.database == wanted.database => Ok(()),
        Err((set, _)) => Err(Error::config(format!(
            "the default database is set already, by {}; call `pglock::configure` once, before the first lock, and use `Database` handles for others",
            set.origin
        ))),
    }
}

fn default_database() -> Result<Database, Error> {
    let default = DEFAULT.get_or_try_init(|| {
        // Empty is how it is taken away where it can't be unset.
        let url = std::env::var("DATABASE_URL").unwrap_or_default();
        if url.is_empty() {
            return Err(Error::config(
                "there is no default database; call `pglock::configure(url)` first, or set DATABASE_URL",
            ));
        }
        let database = Database::builder(url).build()?;
        Ok(DefaultDatabase { database, origin: "the first use of DATABASE_URL" })
    })?;
    Ok(default.database.clone())
}

/// Which database a lock is in: a name given to [`Database::register`], or a handle.
///
/// ```
/// use pglock::{Database, Using};
///
/// # fn main() -> Result<(), pglock::Error> {
/// let database = Database::builder("postgres://app@db.example/app").build()?;
/// let by_handle = Using::from(&database);
/// let by_name = Using::from("default");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Using(Target);

#[derive(Clone, Debug)]
enum Target {
    Default,
    Named(String),
    Handle(Database),
}

impl Using {
    pub(crate) const DEFAULT: Self = Self(Target::Default);

    pub(crate) fn database(&self) -> Result<Database, Error> {
        match &self.0 {
            Target::Default => default_database(),
            Target::Handle(database) => Ok(database.clone()),
            Target::Named(name) => {
                let registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
                registered.get(name).cloned().ok_or_else(|| {
                    let known: Vec<&str> =
                        std::iter::once("default").chain(registered.keys().map(String::as_str)).collect();
                    Error::config(format!(
                        "no database is registered as {name:?}; known are {}; make it known with `Database::builder(url).build()?.register({name:?})?`",
                        known.join(", ")
                    ))
                })
            }
        }
    }
}

impl From<&str> for Using {
    fn from(name: &str) -> Self {
        if name == "default" {
            Self::DEFAULT
        } else {
            Self(Target::Named(name.to_owned()))
        }
    }
}

impl From<String> for Using {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&Database> for Using {
    fn from(database: &Database) -> Self {
        Self(Target::Handle(database.clone()))
    }
}

impl From<Database> for Using {
    fn from(database: Database) -> Self {
        Self(Target::Handle(database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_password() {
        let database = Database::builder("postgres://app:hunter2@localhost/app")
            .build()
            .unwrap();
        let using = Using::from(&database);
        let builder = Database::builder("postgres://app:hunter2@localhost/app");
        let shown = format!("{database:?} {using:?} {builder:?} {}", database.place());
        assert!(!shown.contains("hunter2"), "{shown}");
        let broken = Database::builder("postgres://app:hunter2@localhost:port/app")
            .build()
            .unwrap_err();
        assert!(
            !format!("{broken} {broken:?}").contains("hunter2"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_word_of_the_password_is_not_quoted() {
        let broken = Database::builder("host=localhost password=a hunter2=b")
            .build()
            .unwrap_err();
        assert!(
            !format!("{broken} {broken:?}").contains("hunter2"),
            "{broken:?}"
        );
    }

    #[test]
    fn an_at_in_the_password_is_told_and_not_shown() {
        let error = Database::builder("postgres://app:p@hunter2@localhost/app")
            .build()
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            error.is_config() && text.contains("%40") && !text.contains("hunter2"),
            "{text}"
        );
    }

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

    #[test]
    fn an_unknown_name_lists_the_known() {
        Database::builder("postgres://app@localhost/app")
            .build()
            .unwrap()
            .register("reports")
            .unwrap();
        let error = Using::from("report").database().unwrap_err();
        assert!(error.to_string().contains("default, reports"), "{error}");
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
