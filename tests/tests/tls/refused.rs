//! Servers that are not believed, and URLs that can't be.

use std::error::Error as _;

use pglock::{Database, Error};

use crate::certificates::{Authority, Tcp, encrypted};

/// The lock is not had, since there is no session, and what is told is `why`.
#[track_caller]
fn assert_refused(database: &Database, why: &str) {
    let error = pglock::advisory("refused")
        .using(database)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(error.to_string().contains(why), "{error:?}");
    assert!(error.source().is_some(), "{error:?}");
}

fn config_error(url: String) -> Error {
    let error = Database::builder(url).build().unwrap_err();
    assert!(error.is_config(), "{error:?}");
    error
}

#[test]
fn a_wrong_authority() {
    let tcp = encrypted();
    let other = Authority::new("another");
    let other = format!("sslrootcert={}", other.file().display());
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        let here = tcp.database(&format!("sslmode={mode}&{other}"));
        assert_refused(&here, "not signed by an authority");
    }
    // Nor is it one that the operating system believes.
    if let Ok(here) = tcp.builder("sslmode=verify-full").build() {
        assert_refused(&here, "not signed by an authority");
    }
}

#[test]
fn another_host_name() {
    let tcp = encrypted();
    let options = format!("sslmode=verify-full&{}", tcp.believed());
    let here = Database::builder(tcp.url_of("postgres", "127.0.0.1", &options))
        .build()
        .unwrap();
    assert_refused(&here, "another host name");
}

#[test]
fn an_expired_certificate_and_that_of_the_authority_itself() {
    let tcp = Tcp::plain();
    let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
    tcp.show(&tcp.authority.sign_until("localhost", 2001), rules);
    assert_refused(&tcp.verified(), "has expired; renew it");
    let verify_ca = tcp.database(&format!("sslmode=verify-ca&{}", tcp.believed()));
    assert_refused(&verify_ca, "has expired; renew it");

    tcp.show(&tcp.authority.itself(), rules);
    assert_refused(&tcp.verified(), "is that of an authority");
}

/// The name and the authority are right: whoever has seen a certificate can show it.
#[test]
fn a_certificate_without_its_key() {
    let authority = Authority::new("the authority");
    let thief = authority.sign("localhost").shown_without_its_key();
    let believed = format!("sslrootcert={}", authority.file().display());
    for options in [
        format!("sslmode=verify-full&{believed}"),
        format!("sslmode=verify-ca&{believed}"),
        "sslmode=require".to_owned(),
    ] {
        let url = format!("postgres://app@localhost:{}/app?{options}", thief.port());
        let here = Database::builder(url).build().unwrap();
        assert_refused(&here, "not signed by an authority");
    }
}

#[test]
fn a_server_without_tls() {
    let tcp = Tcp::plain();
    let believed = tcp.believed();
    for options in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full&{believed}"),
        format!("sslmode=verify-ca&{believed}"),
        believed,
    ] {
        assert_refused(&tcp.database(&options), "the server has no TLS");
    }
    assert!(!tcp.server.log().contains("application_name=pglock: "));
}

#[test]
fn files_that_cannot_be_used() {
    let tcp = encrypted();
    let gone = config_error(tcp.url("sslrootcert=/no/such.pem"));
    assert!(gone.to_string().contains("/no/such.pem"), "{gone}");

    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no PEM").unwrap();
    let empty = config_error(tcp.url(&format!("sslrootcert={}", empty.display())));
    assert!(empty.to_string().contains("no certificate in"), "{empty}");

    let pair = tcp.authority.sign("cert");
    let other = Authority::new("another");
    let key = other
        .client(&other.sign("cert"))
        .replace("sslcert=", "ignored=");
    let key = key
        .split('&')
        .find(|word| word.starts_with("sslkey"))
        .unwrap();
    let mixed = Authority::new("a third").client(&pair);
    let mixed = mixed.split('&').next().unwrap();
    config_error(tcp.url(&format!("sslmode=require&{mixed}&{key}")));
}
