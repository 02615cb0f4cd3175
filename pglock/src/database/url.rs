//! Parsing a database URL, without ever showing a password.

use std::error::Error as _;

use tokio_postgres::Config;

use crate::error::Error;

pub(super) fn parse(text: &str) -> Result<Config, Error> {
    let url = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    if url.is_some_and(is_cut_by_its_password) {
        return Err(Error::config(
            "the database URL has more than one `@`, or a `/` or `?` before it; write those in the password as `%40`, `%2F` and `%3F`",
        ));
    }
    text.parse().map_err(|error| {
        let why = reason(text, url, &error).map_or_else(String::new, |why| format!(": {why}"));
        Error::config(format!(
            "cannot parse the database URL{why}; write it as in `postgres://user@host:5432/database`"
        ))
    })
}

/// The parser's reason, unless it may contain a part of a password. It quotes the name of an option that it does not know,
/// and a password with an `=` or `&` in it can look like one. So can all of a URL whose beginning is misspelled.
fn reason(text: &str, url: Option<&str>, error: &tokio_postgres::Error) -> Option<String> {
    let options = match url {
        Some(url) => url.split_once('?').map_or("", |(_, options)| options),
        None => text,
    };
    // A `%` may hide the other three.
    let may_have_a_password = ["password", "@", "://", "%"]
        .iter()
        .any(|sign| options.contains(sign));
    let reason = error.source()?.to_string();
    (!may_have_a_password).then_some(reason)
}

/// Whether part of a password with an `@`, `/` or `?` would be parsed as a user, host or database, which messages show. The
/// parser takes everything before the first `@` for user and password.
fn is_cut_by_its_password(url: &str) -> bool {
    let Some((credentials, rest)) = url.split_once('@') else {
        return false;
    };
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    credentials.contains(['/', '?']) || before_options.contains('@')
}

#[cfg(test)]
mod tests {
    use crate::database::{Database, Using};

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
    fn a_misspelled_scheme_is_not_quoted() {
        for text in [
            "postgres//app:hunter2@localhost/app?connect_timeout=3",
            "postgresq://app:hunter2@localhost/app?connect_timeout=3",
            "Postgres://app:hunter2@localhost/app?connect_timeout=3",
            "postgres://app@localhost/app?p%61ssword=a&hunter2=b",
        ] {
            let broken = Database::builder(text).build().unwrap_err();
            let text = format!("{broken} {broken:?}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn the_reason_is_in_the_message() {
        for (text, reason) in [
            (
                "postgres://localhost/app?aplication_name=x",
                "unknown option `aplication_name`",
            ),
            (
                "postgres://app:hunter2@localhost/app?aplication=x",
                "unknown option `aplication`",
            ),
            (
                "postgres://app:hunter2@localhost:port/app",
                "invalid value for option `port`",
            ),
            (
                "host=localhost aplication_name=x",
                "unknown option `aplication_name`",
            ),
            ("localhost/app", "unexpected EOF"),
        ] {
            let error = Database::builder(text).build().unwrap_err().to_string();
            assert!(error.contains(&format!("URL: {reason}; write")), "{error}");
        }
    }

    #[test]
    fn an_at_in_the_password_is_refused_and_not_shown() {
        let error = Database::builder("postgres://app:p@hunter2@localhost/app")
            .build()
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            error.is_config() && text.contains("%40") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
