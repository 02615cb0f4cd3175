//! The parameters of a connection, from a URL or a keyword string, by their names in libpq.
//!
//! The driver reads both too. It quotes what it cannot read, which may be a part of a password, so pglock could not pass its
//! reasons on.

mod config;
mod keyword_string;
mod url;

use std::collections::BTreeMap;

use crate::error::Error;

/// What can be set. Where libpq and the driver differ in a name, both are known.
const KNOWN: [&str; 23] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The values that are set. Of several for one parameter, the last counts.
#[derive(Default)]
pub(super) struct Conninfo {
    values: BTreeMap<&'static str, Vec<u8>>,
    /// Whether an option was a password. What seems to be the next option may be a part of it.
    after_password: bool,
}

/// Reads a URL or a keyword string.
pub(super) fn parse(text: &str) -> Result<Conninfo, Error> {
    match url::without_scheme(text) {
        Some(rest) => url::parse(rest),
        None => keyword_string::parse(text),
    }
}

impl Conninfo {
    fn set(&mut self, name: &'static str, value: Vec<u8>) {
        self.values.insert(name, value);
    }

    /// Sets the value of an option that is written with its name.
    fn set_option(&mut self, name: &[u8], value: Vec<u8>) -> Result<(), Error> {
        let Some(known) = KNOWN.iter().find(|known| known.as_bytes() == name) else {
            return Err(self.unknown(name));
        };
        self.after_password |= *known == "password";
        self.set(known, value);
        Ok(())
    }

    /// Names the option, unless it may be a part of a password, or of a URL whose scheme is misspelled.
    fn unknown(&self, name: &[u8]) -> Error {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(byte);
        let is_shown = !name.is_empty() && name.iter().all(is_word);
        if self.after_password {
            Error::config(
                "the database URL has an unknown option after the password; write `&`, `=` and `%` in a password as `%26`, `%3D` and `%25`, and in a keyword string put the password in single quotes",
            )
        } else if is_shown {
            Error::config(format!(
                "the database URL has the unknown option `{}`; leave it out, or correct it: options have the names of libpq, such as `connect_timeout`",
                String::from_utf8_lossy(name)
            ))
        } else {
            unreadable()
        }
    }

    /// A value that is not empty. As in libpq, an empty one is the same as none.
    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.values
            .get(name)
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        let text = self.bytes(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| invalid(name, "is not UTF-8 after decoding; check its `%` sequences"))
    }
}

/// The error of a value, which it does not show.
fn invalid(name: &str, why: &str) -> Error {
    Error::config(format!("the `{name}` of the database URL {why}"))
}

fn unreadable() -> Error {
    Error::config(
        "the database URL can be read neither as a URL, as in `postgres://user@host:5432/database`, nor as keywords, as in `host=localhost user=app dbname=app`; write it as one of the two",
    )
}

#[cfg(test)]
mod tests {
    use std::slice;

    use tokio_postgres::Config;
    use tokio_postgres::config::Host;

    use crate::database::{Database, Using};

    fn config(text: &str) -> Config {
        super::parse(text).unwrap().config().unwrap().0
    }

    fn refused(text: &str) -> String {
        let error = Database::builder(text).build().unwrap_err();
        assert!(error.is_config(), "{error:?}");
        format!("{error:?}")
    }

    #[test]
    fn a_url_is_read_as_by_the_driver() {
        for url in [
            "postgres://db:5432",
            "postgresql://app@db:5432/app",
            "postgres://app:secret:part@db:5433/app",
            "postgres://app:s%3Fc%40%zz%@db:1/app?connect_timeout=3",
            "postgres://app:a%3Fb=c&d@db:1/app",
            "postgres://a:1,b,[::1]:3/app?target_session_attrs=read-write&load_balance_hosts=random",
            "postgres://[::1]:1/app?hostaddr=::1&options=-c%20x=y&keepalives=0",
            "postgres://db:1/app?keepalives_idle=7&keepalives_interval=8&keepalives_retries=9",
            "postgres://db:1/app?channel_binding=require&sslnegotiation=direct",
            "postgres://db:1/app?user=a&password=b&dbname=c&application_name=a+b%20c",
        ] {
            assert_eq!(config(url), url.parse().unwrap(), "{url}");
        }
        // The default is set when connecting.
        assert_eq!(config("postgres://db").get_ports(), [0_u16; 0]);
    }

    #[test]
    fn a_keyword_string_is_read_as_by_the_driver() {
        for text in [
            "host=db",
            r"host = db  password = 'it\'s sslmode=disable' user=a\ b dbname='x y'",
            "host=a,b port=1,2 user=app connect_timeout=3",
            "host=a,b port=,2",
            "hostaddr=127.0.0.1 host=db port=7 keepalives=1",
        ] {
            assert_eq!(config(text), text.parse().unwrap(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_with_sockets_is_a_host() {
        let by_url = "postgres://%2Frun%2Fpg,db/app";
        let run = Host::Unix("/run/pg".into());
        assert_eq!(
            config(by_url).get_hosts(),
            [run.clone(), Host::Tcp("db".into())]
        );
        for text in ["postgres:///app?host=/run/pg", "host=/run/pg"] {
            assert_eq!(config(text).get_hosts(), slice::from_ref(&run), "{text}");
        }
    }

    #[test]
    fn the_last_value_of_an_option_counts() {
        for text in ["postgres://db?user=a&user=b", "host=db user=a user=b"] {
            assert_eq!(config(text).get_user(), Some("b"), "{text}");
        }
    }

    #[test]
    fn an_unknown_option_is_named() {
        for (text, option) in [
            (
                "postgres://localhost/app?aplication_name=x",
                "aplication_name",
            ),
            (
                "postgres://app:hunter2@localhost/app?%61plication=x",
                "aplication",
            ),
            (
                "postgres://app@localhost/app?application_name=a%40b&schema=x",
                "schema",
            ),
            (
                "host=localhost aplication_name=x password=hunter2",
                "aplication_name",
            ),
        ] {
            let error = refused(text);
            assert!(
                error.contains(&format!("unknown option `{option}`")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_option_that_may_be_a_part_of_the_password_is_not_named() {
        for text in [
            "host=localhost password=a hunter2=b",
            "postgres://app@localhost/app?p%61ssword=a&hunter2=b",
            "postgres//app:hunter2@localhost/app?connect_timeout=3",
            "postgresq://app:hunter2@localhost/app?connect_timeout=3",
            "Postgres://app:hunter2@localhost/app?connect_timeout=3",
            "app:hunter2@localhost/app",
        ] {
            let error = refused(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_and_not_shown() {
        for (text, says) in [
            (
                "postgres://app:p@localhost:hunter2/app",
                "the `port` of the database URL is not a number from 1 to 65535",
            ),
            ("postgres://localhost:0/app", "`port`"),
            (
                "postgres://::1/app",
                "an IPv6 address in brackets, as in `postgres://user@[::1]:5432/database`",
            ),
            ("postgres://[::1/app", "can be read neither"),
            (
                "postgres://a,b/app?port=1,2,3",
                "one port, or one for each host",
            ),
            ("host=a,b hostaddr=::1", "one address for each host"),
            ("hostaddr=hunter2", "`hostaddr`"),
            (
                "host=db connect_timeout=hunter2",
                "the `connect_timeout` of the database URL is not a number",
            ),
            (
                "host=db sslmode=hunter2",
                "is none of `disable`, `prefer`, `require`, `verify-ca`, `verify-full`",
            ),
            (
                "postgres://db?channel_binding=hunter2",
                "is none of `disable`, `prefer`, `require`",
            ),
            (
                "postgres://db/%ff",
                "the `dbname` of the database URL is not UTF-8",
            ),
            ("postgres://db?hunter2", "has no `=`"),
            ("host=db hunter2", "a keyword without `=`"),
            ("host=db dbname='hunter2", "has no end"),
            ("hunter2", "can be read neither as a URL"),
            ("user=app", "names no host"),
        ] {
            let error = refused(text);
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_at_a_slash_or_a_question_mark_in_the_password_is_refused_and_not_shown() {
        for text in [
            "postgres://app:p@hunter2@localhost/app",
            "postgres://app:p/hunter2@localhost/app",
            "postgres://app:p?hunter2@localhost/app",
            "postgres://db:5432/app?sslmode=verify-full&application_name=hunter2@b",
        ] {
            let error = refused(text);
            assert!(
                error.contains("%40") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn nothing_shows_the_password() {
        let url = "postgres://app:hunter2@localhost/app";
        let builder = Database::builder(url);
        let database = builder.clone().build().unwrap();
        let using = Using::from(&database);
        let shown = format!("{database:?} {using:?} {builder:?} {}", database.place());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_error_says_where_the_url_is_from() {
        let error = refused("postgres://localhost/app?schema=x");
        assert!(
            error.starts_with("`Database::builder`: the database URL"),
            "{error}"
        );
        let error = crate::configure("postgres://localhost:x").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("`pglock::configure`: the `port`"),
            "{text}"
        );
    }
}
