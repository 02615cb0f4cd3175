//! Parsing a database URL, without ever showing a password.

use tokio_postgres::Config;

use crate::error::Error;

pub(super) fn parse(text: &str) -> Result<Config, Error> {
    let url = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    if url.is_some_and(is_cut_by_its_password) {
        return Err(Error::config(
            "the database url has more than one `@`, or a `/` or `?` before it; write those in the password as `%40`, `%2F` and `%3F`",
        ));
    }
    text.parse().map_err(|source| {
        let error =
            Error::config("cannot parse the database url; write `postgres://user@host/database`");
        // The parser's error may quote a word of a password that is an option, or that it takes for one.
        let options = url.map(|url| url.split_once('?').map_or("", |(_, options)| options));
        if options.is_some_and(|options| !options.contains("password") && !options.contains('@')) {
            error.sourced(source)
        } else {
            error
        }
    })
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
