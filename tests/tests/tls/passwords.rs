//! Passwords, which nothing shows.

use std::error::Error as _;

use pglock::{Database, Error};

use crate::certificates::{Tcp, encrypted};

const PASSWORD: &str = "hunter2";
const WRONG: &str = "hunter3";

/// Neither the error nor anything behind it has a word of the password.
#[track_caller]
fn assert_silent(error: &Error) {
    let mut shown = vec![format!("{error} {error:?} {error:#?}")];
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    let shown = shown.join("\n");
    assert!(!shown.contains("hunter"), "{shown}");
}

fn by_password(tcp: &Tcp, password: &str, options: &str) -> Database {
    let options = format!("{options}&{}", tcp.believed());
    let url = tcp.url_of(&format!("scram:{password}"), "localhost", &options);
    let database = Database::builder(url)
        .application_name("login")
        .build()
        .unwrap();
    assert!(!format!("{database:?}").contains("hunter"));
    database
}

fn refused(database: &Database) -> Error {
    let error = pglock::advisory("login")
        .using(database)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_silent(&error);
    error
}

#[test]
fn the_right_one_logs_in_bound_to_the_channel() {
    let tcp = encrypted();
    for binding in ["require", "prefer", "disable"] {
        let here = by_password(tcp, PASSWORD, &format!("channel_binding={binding}"));
        pglock::advisory("login")
            .using(&here)
            .acquire()
            .unwrap()
            .release()
            .unwrap();
    }
    let log = tcp.server.log();
    assert!(
        log.contains("user=scram") && log.contains("application_name=pglock: login SSL enabled")
    );
    assert!(
        !log.contains(PASSWORD)
            || log.matches(PASSWORD).count() == log.matches("CREATE ROLE").count()
    );
}

#[test]
fn a_wrong_password_is_an_error_and_not_shown() {
    let tcp = encrypted();
    let error = refused(&by_password(tcp, WRONG, ""));
    assert!(
        error.to_string().contains("the password is wrong"),
        "{error}"
    );

    let none = tcp.url_of("scram", "localhost", "sslmode=require");
    let error = refused(&Database::builder(none).build().unwrap());
    assert!(error.to_string().contains("the URL has none"), "{error}");

    // Without TLS there is nothing to bind it to.
    let url = tcp.url_of(&format!("scram:{PASSWORD}"), "localhost", "sslmode=disable");
    refused(&Database::builder(url).build().unwrap());
}

#[test]
fn no_error_on_the_way_shows_it() {
    let tcp = encrypted();
    let with = |host: &str, options: &str| tcp.url_of(&format!("scram:{PASSWORD}"), host, options);
    for url in [
        with("localhost", "sslmode=hunter2"),
        with("localhost", "sslrootcert=/no/such.pem"),
        with("localhost", "sslmode=verify-ca"),
        with("localhost", "sslcert=/c.pem"),
        with("localhost", "no_such=1"),
        format!("host=localhost sslmode=require password={PASSWORD} sslcert=a"),
        format!("host=localhost password='{PASSWORD} sslmode=require"),
    ] {
        let error = Database::builder(url).build().unwrap_err();
        assert!(error.is_config(), "{error:?}");
        assert_silent(&error);
    }
    let believed = tcp.believed();
    refused(
        &Database::builder(with("127.0.0.1", &believed))
            .build()
            .unwrap(),
    );
    let gone = with("localhost", &believed).replace(tcp.db.name(), "no_such_database");
    refused(&Database::builder(gone).build().unwrap());
}
