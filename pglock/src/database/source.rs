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
    Config(Box<Config>),
    Database(Database),
}

impl fmt::Debug for DatabaseConfig {
    /// Shows no part of the text, which may contain a password.
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

impl ConfigSource {
    pub(super) fn read(self) -> Result<Parameters, Error> {
        let parameters = match self {
            Self::Text(text) => conninfo::read(&text)?,
            Self::Config(config) => Parameters::from(*config),
            Self::Database(database) => database.0.given.clone(),
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
