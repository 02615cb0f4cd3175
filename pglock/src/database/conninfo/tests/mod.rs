//! What is read, and what is said of what cannot be read.

mod environment;

use std::slice;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::database::connect::session_target::SessionTarget;
use crate::database::conninfo::Parameters;
use crate::database::credentials::PasswordSource;
use crate::database::tls::SslMode;
use crate::database::{Database, Using};
use crate::error::Error;

/// Without the environment of the tests.
fn read(text: &str) -> Result<Parameters, Error> {
    super::completed(super::parsed(text)?, &|_| None)
}

fn read_in(text: &str, environment: &[(&str, &str)]) -> Result<Parameters, Error> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.into())
    };
    super::completed(super::parsed(text)?, &variable)
}

/// As the driver has it, with the credentials.
fn config(text: &str) -> Config {
    let Parameters {
        mut config,
        credentials,
        ..
    } = read(text).unwrap();
    if let Some(user) = credentials.user {
        config.user(user);
    }
    if let PasswordSource::Given(password) = credentials.password {
        config.password(password);
    }
    config
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
        "postgres://a:1,b,[::1]:3/app?load_balance_hosts=random",
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
            "postgres://app@localhost/app?application_name=a%40b&skema=x",
            "skema",
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
            "the `port` of the database URL is not a number from 1 to 65535; write one",
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
            "is none of `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`",
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
        (" ", "is empty"),
        (
            "mysql://app:hunter2@db/app",
            "another scheme than `postgres://`",
        ),
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
fn an_ipv6_address_is_shown_in_brackets() {
    let database = Database::builder("postgres://app@[::1]:5433,db/app").build();
    let place = database.unwrap().place();
    assert_eq!(place, r#"database "app" at [::1]:5433,db:5432 as "app""#);
    let database = Database::builder("hostaddr=::1,10.0.0.1 port=5433 dbname=app user=app").build();
    let place = database.unwrap().place();
    assert_eq!(
        place,
        r#"database "app" at [::1]:5433,10.0.0.1:5433 as "app""#
    );
}

#[test]
fn the_error_says_where_the_url_is_from() {
    let error = refused("postgres://localhost/app?skema=x");
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

#[test]
fn words_of_libpq_are_taken_as_libpq_takes_them() {
    let both = |options: &str| {
        let by_url = read(&format!("postgres://db/app?{}", options.replace(' ', "&")));
        let by_keywords = read(&format!("host=db dbname=app {options}"));
        let (by_url, by_keywords) = (by_url.unwrap(), by_keywords.unwrap());
        assert!(by_url == by_keywords, "{options}");
        by_url
    };
    let nothing = both("");
    for options in [
        "gssencmode=disable",
        "gssencmode=prefer krbsrvname=x gsslib=x gssdelegation=1",
        "client_encoding=latin1",
        "sslcompression=1 sslsni=1 sslcertmode=allow",
        "replication=false",
        "ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.3",
        "min_protocol_version=3.0 max_protocol_version=latest",
    ] {
        assert!(both(options) == nothing, "{options}");
    }
    let name = |options| {
        let name = both(options)
            .config
            .get_application_name()
            .map(str::to_owned);
        name.unwrap_or_default()
    };
    assert_eq!(name("fallback_application_name=a"), "a");
    assert_eq!(name("application_name=b fallback_application_name=a"), "b");
    let times = both("keepalives_count=7 tcp_user_timeout=1500 connect_timeout=0").config;
    assert_eq!(times.get_keepalives_retries(), Some(7));
    assert_eq!(
        times.get_tcp_user_timeout(),
        Some(&Duration::from_millis(1500))
    );
    assert_eq!(times.get_connect_timeout(), None);
    for (options, mode) in [
        ("sslmode=allow", SslMode::Allow),
        ("requiressl=1", SslMode::Require),
        ("requiressl=0", SslMode::Prefer),
    ] {
        assert_eq!(both(options).tls.mode, Some(mode), "{options}");
    }
    let jdbc = read("postgres://db/app?ssl=true").unwrap();
    assert_eq!(jdbc.tls.mode, Some(SslMode::Require));
    for (word, target) in [
        ("any", SessionTarget::Any),
        ("primary", SessionTarget::Primary),
        ("read-write", SessionTarget::ReadWrite),
        ("read-only", SessionTarget::ReadOnly),
    ] {
        assert_eq!(both(&format!("target_session_attrs={word}")).target, target);
    }
    let password = both("passfile=/p").credentials.password;
    assert!(password == PasswordSource::File("/p".into()));
}

#[test]
fn what_pglock_cannot_do_is_refused_with_the_reason() {
    for (option, says) in [
        (
            "target_session_attrs=standby",
            "picks a standby, where locks exclude nobody",
        ),
        (
            "target_session_attrs=prefer-standby",
            "write `primary` or `any`",
        ),
        ("gssencmode=require", "encryption by GSSAPI"),
        ("replication=database", "takes no locks"),
        ("sslnegotiation=direct", "add `sslmode=require`"),
        ("sslpassword=hunter2", "a key without a password"),
        ("sslcrl=/c", "revoked certificates"),
        ("require_auth=md5", "which pglock cannot check"),
        ("ssl_min_protocol_version=TLSv1.3", "rules out TLS 1.2"),
        (
            "ssl=no-verify",
            "write `sslmode=disable` or `sslmode=require`",
        ),
        ("host=%40abstract", "abstract namespace"),
    ] {
        for text in [
            format!("postgres://db?{option}"),
            format!("host=db {option}").replace("%40", "@"),
        ] {
            let error = refused(&text);
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn options_of_other_tools_are_named_as_theirs() {
    for (option, tool) in [
        ("schema", "Prisma"),
        ("pgbouncer", "Prisma"),
        ("connection_limit", "Prisma"),
        ("statement-cache-capacity", "sqlx"),
        ("options[search_path]", "sqlx"),
        ("currentSchema", "JDBC"),
        ("prepared_statements", "Rails"),
        ("pool_max_conns", "pgx"),
        ("max_overflow", "SQLAlchemy"),
        ("conn_max_age", "Django"),
        ("uselibpqcompat", "node-postgres"),
        ("x-migrations-table", "golang-migrate"),
    ] {
        let error = refused(&format!("postgres://app:a@db/app?password=b&{option}=c"));
        assert!(
            error.contains(&format!("`{option}`, which is {tool}'s")),
            "{error}"
        );
    }
}
