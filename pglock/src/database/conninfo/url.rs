//! Reads a URL: `postgres://user:password@host:port,host:port/database?option=value&option=value`.

use super::values::{Conninfo, unreadable};
use crate::error::Error;

/// What is behind the scheme. `None`: it is not a URL.
pub(super) fn without_scheme(text: &str) -> Result<Option<&str>, Error> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => Ok(Some(rest)),
        Some((scheme, _)) if scheme.chars().all(is_of_scheme) => Err(Error::config(
            "the database URL has another scheme than `postgres://`; write that, or `postgresql://`",
        )),
        _ => Ok(None),
    }
}

pub(super) fn parse(url: &str) -> Result<Conninfo, Error> {
    if is_cut_by_its_password(url) {
        return Err(Error::config(
            "the database URL has more than one `@`, or a `/` or `?` before it; write those in the password as `%40`, `%2F` and `%3F`",
        ));
    }
    let mut conninfo = Conninfo::default();
    let mut rest = url;
    if let Some((credentials, behind)) = url.split_once('@') {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        set_unless_empty(&mut conninfo, "user", decoded(user));
        set_unless_empty(&mut conninfo, "password", decoded(password));
        rest = behind;
    }
    let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, dbname) = address.split_once('/').unwrap_or((address, ""));
    set_hosts(&mut conninfo, hosts)?;
    set_unless_empty(&mut conninfo, "dbname", decoded(dbname));
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let Some((name, value)) = option.split_once('=') else {
            return Err(Error::config(
                "an option of the database URL has no `=`; write them as in `?connect_timeout=3&application_name=worker`, and `&` in a password as `%26`",
            ));
        };
        conninfo.set_option(&decoded(name), decoded(value))?;
    }
    Ok(conninfo)
}

/// Hosts and ports are two lists of the same length, separated by commas.
fn set_hosts(conninfo: &mut Conninfo, hosts: &str) -> Result<(), Error> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(host) => {
                let (address, behind) = host.split_once(']').ok_or_else(unreadable)?;
                let port = behind.strip_prefix(':');
                if port.is_none() && !behind.is_empty() {
                    return Err(unreadable());
                }
                (address, port)
            }
            None => match host.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (host, None),
            },
        };
        names.push(decoded(name));
        ports.push(decoded(port.unwrap_or_default()));
    }
    set_unless_empty(conninfo, "host", names.join(&b','));
    if ports.iter().any(|port| !port.is_empty()) {
        conninfo.set("port", ports.join(&b','));
    }
    Ok(())
}

/// What a URL leaves out is not set, and so left to a service.
fn set_unless_empty(conninfo: &mut Conninfo, name: &'static str, value: Vec<u8>) {
    if !value.is_empty() {
        conninfo.set(name, value);
    }
}

/// Whether part of a password with an `@`, `/` or `?` would be read as a user, host or database, which messages show.
/// Everything before the first `@` is user and password.
fn is_cut_by_its_password(url: &str) -> bool {
    let Some((credentials, rest)) = url.split_once('@') else {
        return false;
    };
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    credentials.contains(['/', '?']) || before_options.contains('@')
}

/// Decodes `%` and two digits; as in the driver, any other `%` stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.extend(u8::try_from(high * 16 + low));
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    bytes
}
