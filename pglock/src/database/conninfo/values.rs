//! The values of parameters, by their names in libpq, and where they are from.

use std::collections::BTreeMap;
use std::fmt;

use super::words::{self, Word};
use crate::error::Error;

/// The values that are set. Of several for one parameter, the last counts.
#[derive(Default)]
pub(super) struct Conninfo {
    values: BTreeMap<String, Value>,
    origin: Origin,
    /// Whether an option was a password. What seems to be the next option may be a part of it.
    pub(super) after_password: bool,
}

struct Value {
    bytes: Vec<u8>,
    origin: Origin,
}

/// Where a value is from, for messages.
#[derive(Clone, Copy, Default)]
pub(super) enum Origin {
    #[default]
    Url,
    ServiceFile,
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("the database URL"),
            Self::ServiceFile => f.write_str("the service file"),
            Self::Variable(name) => write!(f, "`{name}`"),
        }
    }
}

impl Origin {
    /// The error of a value from here, which it does not show.
    fn invalid(self, name: &str, why: &str) -> Error {
        Error::config(match self {
            Self::Variable(_) => format!("{self} {why}"),
            Self::Url | Self::ServiceFile => format!("the `{name}` of {self} {why}"),
        })
    }
}

impl Conninfo {
    pub(super) fn of(origin: Origin) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        let origin = self.origin;
        self.values.insert(name.to_owned(), Value { bytes, origin });
    }

    /// Whether the option is written, if with an empty value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Sets what is only said by others.
    pub(super) fn add(&mut self, others: Self) {
        for (name, value) in others.values {
            self.values.entry(name).or_insert(value);
        }
    }

    /// Sets the value of an option that is written with its name.
    pub(super) fn set_option(&mut self, name: &[u8], value: Vec<u8>) -> Result<(), Error> {
        let word = std::str::from_utf8(name).ok().and_then(words::find);
        let named = || String::from_utf8_lossy(name);
        let origin = self.origin;
        match word {
            // As in libpq, which has it from JDBC.
            Some(_) if name == b"ssl" && value == b"true" => self.set("sslmode", b"require".into()),
            Some(Word::Set("requiressl")) => {
                let is_set = value.first() == Some(&b'1');
                let mode: &[u8] = if is_set { b"require" } else { b"prefer" };
                self.set("sslmode", mode.to_owned());
            }
            Some(Word::Set(name)) => {
                self.after_password |= name == "password";
                self.set(name, value);
            }
            Some(Word::NoEffect) => {}
            Some(Word::Only(accepted, why)) => {
                if !value.is_empty() && !accepted.iter().any(|it| it.as_bytes() == value) {
                    return Err(origin.invalid(&named(), why));
                }
                self.set(&named(), value);
            }
            Some(Word::Of(tool)) => {
                return Err(Error::config(format!(
                    "{origin} has the option `{}`, which is {tool}'s and not libpq's; give pglock one without it",
                    named()
                )));
            }
            None => return Err(self.unknown(name)),
        }
        Ok(())
    }

    /// Names the option, unless it may be a part of a password, or of a URL whose scheme is misspelled.
    fn unknown(&self, name: &[u8]) -> Error {
        let origin = self.origin;
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(byte);
        let is_shown = !name.is_empty() && name.iter().all(is_word);
        if self.after_password {
            Error::config(format!(
                "{origin} has an unknown option after the password; write `&`, `=` and `%` in a password as `%26`, `%3D` and `%25`, and in a keyword string put the password in single quotes"
            ))
        } else if is_shown {
            Error::config(format!(
                "{origin} has the unknown option `{}`; leave it out, or correct it: options have the names of libpq, such as `connect_timeout`",
                String::from_utf8_lossy(name)
            ))
        } else {
            unreadable()
        }
    }

    /// A value that is not empty. As in libpq, an empty one stands for the default.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let value = self.values.get(name).map(|value| value.bytes.as_slice());
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        let text = self.bytes(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| self.invalid(name, "is not UTF-8 after decoding; check its `%` sequences"))
    }

    /// The error of a value, which it does not show.
    pub(super) fn invalid(&self, name: &str, why: &str) -> Error {
        let origin = self.values.get(name).map(|value| value.origin);
        origin.unwrap_or_default().invalid(name, why)
    }
}

pub(super) fn unreadable() -> Error {
    Error::config(
        "the database URL can be read neither as a URL, as in `postgres://user@host:5432/database`, nor as keywords, as in `host=localhost user=app dbname=app`; write it as one of the two",
    )
}
