//! The parameters of a connection, from a URL or a keyword string, by their names in libpq.
//!
//! The driver reads both too. It quotes what it cannot read, which may be a part of a password, so pglock could not pass its
//! reasons on.

mod config;
mod keyword_string;
mod service;
#[cfg(test)]
mod tests;
mod url;
mod values;
mod words;

use crate::error::Error;
pub(super) use config::Parameters;

/// Reads a URL or a keyword string, and what it leaves to a service file.
pub(super) fn read(text: &str) -> Result<Parameters, Error> {
    if text.trim().is_empty() {
        return Err(Error::config(
            "the database URL is empty; write it as in `postgres://user@host:5432/database`",
        ));
    }
    let mut conninfo = match url::without_scheme(text)? {
        Some(rest) => url::parse(rest)?,
        None => keyword_string::parse(text)?,
    };
    service::add(&mut conninfo)?;
    conninfo.parameters()
}
