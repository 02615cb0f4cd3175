//! What a database handle is built from: a URL, the driver's configuration, or another handle.

use std::fmt;

use tokio_postgres::Config;

use super::conninfo::{self, Parameters};
use super::handle::Database;
use crate::error::Error;

/// The address of a database: a URL, a keyword string, a [`tokio_postgres::Config`], or an existing [`Database`].
#[derive(Clone)]
pub struct DatabaseConfig(pub(super) ConfigSource);

#[derive(Clone)]
pub(super) enum ConfigSource {
    Text(String),
    Environment,
    Config(Box<Config>),
    Database(Database),
    /// There is no server.
    #[cfg(feature = "testing")]
    InProcess,
}

impl fmt::Debug for DatabaseConfig {
    /// Shows no part of the text, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").finish_non_exhaustive()
    }
}

impl DatabaseConfig {
    /// The database that the environment names: by `DATABASE_URL`, or else by [libpq's
    /// variables](https://www.postgresql.org/docs/current/libpq-envars.html), if one of `PGHOST`, `PGHOSTADDR`, `PGPORT`,
    /// `PGDATABASE`, `PGUSER` and `PGSERVICE` is set. It is the default database of a program that does not call
    /// [`configure`](crate::configure).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), pglock::Error> {
    /// let builder = pglock::Database::builder(pglock::DatabaseConfig::from_env()).max_sessions(4);
    /// pglock::configure(builder.build()?)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_env() -> Self {
        Self(ConfigSource::Environment)
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

/// The URL in the environment.
fn database_url() -> Option<String> {
    // Some tools can only empty a variable, not unset it.
    std::env::var("DATABASE_URL")
        .ok()
        .filter(|url| !url.is_empty())
}

impl ConfigSource {
    /// What the errors of this source begin with, instead of what it is for.
    pub(super) fn place(&self) -> Option<&'static str> {
        match self {
            Self::Environment if database_url().is_some() => Some("DATABASE_URL"),
            Self::Environment if conninfo::names_a_database() => Some("the environment"),
            Self::Environment => Some(""),
            Self::Text(_) | Self::Config(_) | Self::Database(_) => None,
            #[cfg(feature = "testing")]
            Self::InProcess => None,
        }
    }

    pub(super) fn read(self) -> Result<Parameters, Error> {
        let parameters = match self {
            Self::Text(text) => conninfo::read(&text)?,
            Self::Environment => match (database_url(), conninfo::names_a_database()) {
                (Some(url), _) => conninfo::read(&url)?,
                (None, true) => conninfo::read_environment()?,
                (None, false) => {
                    return Err(Error::config(
                        "there is no default database; set DATABASE_URL, or PGHOST and libpq's other variables, or name it, in code by `pglock::configure(url)`, to the command by `-d`",
                    ));
                }
            },
            Self::Config(config) => Parameters::from(*config),
            Self::Database(database) => {
                return Ok(Parameters {
                    credentials: database.credentials(),
                    ..database.0.given.clone()
                });
            }
            #[cfg(feature = "testing")]
            Self::InProcess => return Ok(Parameters::from(Config::new())),
        };
        let config = &parameters.config;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::config(
                "the configuration names no host; set one with `host`",
            ));
        }
        Ok(parameters)
    }
}
