//! Reads a keyword string: `host=localhost password='it\'s'`.

use super::values::{Conninfo, unreadable};
use crate::error::Error;

pub(super) fn parse(text: &str) -> Result<Conninfo, Error> {
    let mut conninfo = Conninfo::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, behind) = keyword(rest).ok_or_else(|| no_equals_sign(text))?;
        let (value, behind) = value(behind).ok_or_else(unterminated)?;
        conninfo.set_option(keyword.as_bytes(), value.into_bytes())?;
        rest = behind.trim_start();
    }
    Ok(conninfo)
}

fn no_equals_sign(text: &str) -> Error {
    if !text.contains('=') {
        return unreadable();
    }
    Error::config(
        "the database URL has a keyword without `=`; write `keyword=value`, and a value with spaces in single quotes",
    )
}

fn unterminated() -> Error {
    Error::config(
        r"a quoted value in the database URL has no end; end it with a single quote, and write one in it as `\'`",
    )
}

/// The first keyword, and what is behind its `=`.
fn keyword(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c == '=' || c.is_whitespace())?;
    let (keyword, rest) = text.split_at(end);
    Some((keyword, rest.trim_start().strip_prefix('=')?.trim_start()))
}

/// The value that the text begins with, and what is behind it. Quotes and backslashes are read as by libpq.
fn value(text: &str) -> Option<(String, &str)> {
    let (text, is_quoted) = match text.strip_prefix('\'') {
        Some(quoted) => (quoted, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            _ if !is_quoted && c.is_whitespace() => return Some((value, &text[at..])),
            _ => value.push(c),
        }
    }
    (!is_quoted).then_some((value, ""))
}
