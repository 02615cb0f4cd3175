//! The parameters of a connection, from a URL or a keyword string and the environment, by their names in libpq.
//!
//! The driver reads both too. It quotes what it cannot read, which may be a part of a password, so pglock could not pass its
//! reasons on.

mod config;
mod environment;
mod keyword_string;
mod service;
#[cfg(test)]
mod tests;
mod url;
mod values;
mod words;

use crate::error::Error;
pub(super) use config::Parameters;
pub(super) use environment::names_a_database;
use environment::{Lookup, variable};
use values::Conninfo;

/// Reads a URL or a keyword string, and what it leaves to a service file and to the environment, in this order.
pub(super) fn read(text: &str) -> Result<Parameters, Error> {
    completed(parsed(text)?, &variable)
}

/// What the environment says alone.
pub(super) fn read_environment() -> Result<Parameters, Error> {
    completed(Conninfo::default(), &variable)
}

fn completed(mut conninfo: Conninfo, variable: Lookup<'_>) -> Result<Parameters, Error> {
    service::add(&mut conninfo, variable)?;
    environment::add(&mut conninfo, variable)?;
    conninfo.parameters()
}

fn parsed(text: &str) -> Result<Conninfo, Error> {
    if text.trim().is_empty() {
        return Err(Error::config(
            "the database URL is empty; write it as in `postgres://user@host:5432/database`",
        ));
    }
    match url::without_scheme(text)? {
        Some(rest) => url::parse(rest),
        None => keyword_string::parse(text),
    }
}
