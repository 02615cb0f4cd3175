//! What is done on encrypted sessions.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use pglock::Database;
use pglock_tests::{BOUND, OWN, Server, TestDb, wait_until};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::certificates::{Authority, Tcp, encrypted};

const LOCK: &str = "encrypted";

/// Whether each session of that name is encrypted, as the server sees it.
fn are_encrypted(db: &TestDb, application_name: &str) -> Vec<bool> {
    db.connect()
        .query(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE $1",
            &[&application_name],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Holds a lock, and tells whether its session is encrypted.
#[track_caller]
fn is_encrypted(db: &TestDb, database: &Database, application_name: &str) -> bool {
    let guard = pglock::advisory("seen").using(database).acquire().unwrap();
    let seen = are_encrypted(db, application_name);
    guard.release().unwrap();
    assert!(!seen.is_empty(), "no session is called {application_name}");
    seen.iter().all(|encrypted| *encrypted)
}

/// The log's lines about sessions of that name, each of which tells whether it is encrypted.
fn logins(server: &Server, application_name: &str) -> Vec<String> {
    let name = format!("application_name={application_name} ");
    let log = server.log();
    log.lines()
        .filter(|line| line.contains("connection authorized") && format!("{line} ").contains(&name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn locks_are_held_waited_for_and_canceled_on_encrypted_sessions() {
    let tcp = encrypted();
    let here = tcp
        .builder(&format!("sslmode=verify-full&{}", tcp.believed()))
        .application_name("worker")
        .build()
        .unwrap();
    let lock = pglock::advisory(LOCK).using(&here);
    let guard = lock.clone().acquire().unwrap();
    guard.check().unwrap();
    let elsewhere = tcp
        .builder(&format!("sslmode=verify-full&{}", tcp.believed()))
        .application_name("worker elsewhere")
        .build()
        .unwrap();
    assert_eq!(tcp.db.held(pglock::advisory_id(LOCK)), 1);

    assert!(lock.clone().try_acquire().unwrap().is_none());
    let busy = lock
        .clone()
        .timeout(Duration::from_millis(50))
        .acquire()
        .unwrap_err();
    assert!(busy.holder().unwrap().this_process, "{busy}");

    // The wait is canceled by a request, since there is no helper session.
    {
        let mut waits = pin!(lock.clone().using(&elsewhere).acquire_async());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        tcp.db.wait_for_waiters(1);
    }
    wait_until("the dropped wait has ended", BOUND, || {
        tcp.db.waiting(pglock::advisory_id(LOCK)) == 0
    });
    guard.release().unwrap();
    assert!(is_encrypted(&tcp.db, &here, "pglock: worker"));

    let logins = logins(&tcp.server, "pglock: worker");
    let open = ["pglock: worker", "pglock: worker elsewhere"]
        .map(|name| tcp.db.backends_named(name).len());
    assert_eq!(
        logins.len(),
        open.iter().sum::<usize>(),
        "one was closed: {logins:?}"
    );
    for login in logins {
        assert!(login.contains("SSL enabled (protocol=TLSv1.3"), "{login}");
    }
}

#[test]
fn the_watcher_of_prioritized_sections_is_encrypted() {
    let tcp = encrypted();
    let here = tcp
        .builder(&format!("sslmode=verify-full&{}", tcp.believed()))
        .application_name("watched")
        .build()
        .unwrap();
    let mut blocker = tcp.db.connect();
    blocker.batch_execute("CREATE TABLE watched ()").unwrap();
    blocker.batch_execute("BEGIN; LOCK TABLE watched").unwrap();
    let mut client = tcp.db.connect();
    let mut section = pglock::prioritize()
        .interval(Duration::from_millis(50))
        .using(&here)
        .on(&mut client)
        .unwrap();
    section.query("SELECT FROM watched", &[]).unwrap();
    section.finish().unwrap();
    blocker
        .simple_query("SELECT")
        .expect_err("it was in the way");

    let logins = logins(&tcp.server, "pglock: watched");
    assert!(!logins.is_empty());
    for login in logins {
        assert!(login.contains("SSL enabled"), "{login}");
    }
}

#[test]
fn a_new_session_after_a_restart_goes_by_the_certificates_of_then() {
    let tcp = Tcp::encrypted();
    let here = tcp.verified();
    let guard = pglock::advisory(LOCK).using(&here).acquire().unwrap();
    tcp.server.restart();
    assert!(guard.release().unwrap_err().is_lost());
    assert!(is_encrypted(&tcp.db, &here, OWN));

    // All are renewed, that of the authority too.
    let renewed = Authority::new("the next");
    std::fs::copy(renewed.file(), tcp.authority.file()).unwrap();
    tcp.show(
        &renewed.sign("localhost"),
        "local all all trust\nhostssl all all 127.0.0.1/32 trust\n",
    );
    assert!(is_encrypted(&tcp.db, &here, OWN));
}

#[test]
fn each_mode_encrypts() {
    let tcp = encrypted();
    let believed = tcp.believed();
    let verify_ca = format!("sslmode=verify-ca&{believed}");
    let verify_full = format!("sslmode=verify-full&{believed}");
    let required = format!("sslmode=require&{believed}");
    for (name, host, options) in [
        ("default", "localhost", ""),
        ("prefer", "localhost", "sslmode=prefer"),
        ("require", "127.0.0.1", "sslmode=require"),
        ("require-roots", "127.0.0.1", required.as_str()),
        ("verify-ca", "127.0.0.1", verify_ca.as_str()),
        ("verify-full", "localhost", verify_full.as_str()),
        ("roots-only", "localhost", believed.as_str()),
    ] {
        let here = Database::builder(tcp.url_of("postgres", host, options))
            .application_name(name)
            .build()
            .unwrap();
        assert!(
            is_encrypted(&tcp.db, &here, &format!("pglock: {name}")),
            "{name}"
        );
    }
}

#[test]
fn an_address_alone_can_be_encrypted() {
    let tcp = encrypted();
    let by_name: tokio_postgres::Config = tcp.url("").parse().unwrap();
    let mut config = tokio_postgres::Config::new();
    config
        .hostaddr([127, 0, 0, 1].into())
        .port(by_name.get_ports()[0])
        .user("postgres")
        .dbname(tcp.db.name())
        .ssl_mode(SslMode::Require);
    let here = Database::builder(config)
        .application_name("address")
        .build()
        .unwrap();
    assert!(is_encrypted(&tcp.db, &here, "pglock: address"));
}

#[test]
fn roots_by_the_builder_verify() {
    let tcp = encrypted();
    let here = tcp
        .builder("")
        .application_name("by-builder")
        .root_certificates(tcp.authority.file())
        .build()
        .unwrap();
    assert!(is_encrypted(&tcp.db, &here, "pglock: by-builder"));
    let other = Authority::new("another");
    let refused = tcp
        .builder("")
        .root_certificates(other.file())
        .build()
        .unwrap();
    let error = pglock::advisory(LOCK)
        .using(&refused)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[test]
fn prefer_goes_without_where_there_is_none() {
    let tcp = Tcp::plain();
    let here = tcp.database("sslmode=prefer");
    assert!(!is_encrypted(&tcp.db, &here, OWN));

    tcp.show(
        &tcp.authority.sign("localhost"),
        "local all all trust\nhostnossl all all 127.0.0.1/32 trust\n",
    );
    assert!(!is_encrypted(&tcp.db, &here, OWN));
    let insists = tcp.database("sslmode=require");
    let error = pglock::advisory(LOCK)
        .using(&insists)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert!(error.to_string().contains("pg_hba.conf"), "{error}");

    let never = tcp.database("sslmode=disable");
    assert!(!is_encrypted(&tcp.db, &never, OWN));
}

#[test]
fn closing_waits_for_the_end_of_encrypted_sessions_too() {
    let tcp = Tcp::encrypted();
    let here = tcp.verified();
    for _ in 0..10 {
        assert!(is_encrypted(&tcp.db, &here, OWN));
        here.close();
        assert_eq!(tcp.db.backends_named(OWN), [] as [i32; 0]);
    }
}

#[test]
fn allow_is_encrypted_only_where_it_has_to_be() {
    let plain = Tcp::encrypted();
    plain.show(
        &plain.authority.sign("localhost"),
        "local all all trust\nhost all all 127.0.0.1/32 trust\n",
    );
    let here = plain.database("sslmode=allow");
    assert!(!is_encrypted(&plain.db, &here, OWN));
    let tcp = encrypted();
    let here = tcp.builder("sslmode=allow").application_name("allow");
    assert!(is_encrypted(
        &tcp.db,
        &here.build().unwrap(),
        "pglock: allow"
    ));
}

/// Of the two failures of `prefer`, that of the session without encryption says nothing.
#[test]
fn why_the_encrypted_session_was_refused_is_told() {
    let tcp = encrypted();
    let url = tcp.url_of("cert", "localhost", "sslmode=prefer");
    let here = Database::builder(url).build().unwrap();
    let error = pglock::advisory(LOCK).using(&here).acquire().unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("client certificate"), "{text}");
}

#[test]
fn a_unix_socket_is_not_encrypted_whatever_is_asked() {
    let tcp = encrypted();
    let here = Database::builder(format!("{}?sslmode=verify-full", tcp.db.url()))
        .application_name("socket")
        .build()
        .unwrap();
    assert!(!is_encrypted(&tcp.db, &here, "pglock: socket"));
}

#[test]
fn a_client_certificate_logs_in() {
    let tcp = encrypted();
    let own = tcp.authority.client(&tcp.authority.sign("cert"));
    let url = |options: &str| {
        let options = format!("sslmode=verify-full&{}&{options}", tcp.believed());
        tcp.url_of("cert", "localhost", &options)
    };
    let here = Database::builder(url(&own))
        .application_name("cert")
        .build()
        .unwrap();
    assert!(is_encrypted(&tcp.db, &here, "pglock: cert"));

    let without = Database::builder(url("")).build().unwrap();
    let error = pglock::advisory(LOCK)
        .using(&without)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");

    let other = Authority::new("another");
    let foreign = other.client(&other.sign("cert"));
    let foreign = Database::builder(url(&foreign)).build().unwrap();
    let error = pglock::advisory(LOCK)
        .using(&foreign)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert!(error.to_string().contains("ssl_ca_file"), "{error:?}");
}

/// A connection of the caller's own, told to insist on TLS.
async fn own_connection(tcp: &Tcp) -> tokio_postgres::Client {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(tcp.authority.file()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = tcp.url("sslmode=require");
    let (client, connection) = tokio_postgres::connect(&url, MakeRustlsConnect::new(config))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_wait_on_an_encrypted_connection_is_canceled() {
    let lock = pglock::advisory("of the caller's");
    let tcp = encrypted();
    let mut holder = own_connection(tcp).await;
    let held = lock.clone().on_async(&mut holder).acquire().await.unwrap();
    let mut client = own_connection(tcp).await;
    let began = Instant::now();
    {
        let long = lock.clone().timeout(Duration::from_secs(60));
        let wait = long.on_async(&mut client).acquire();
        tokio::time::timeout(Duration::from_millis(100), wait)
            .await
            .expect_err("it is held");
    }
    client.simple_query("SELECT 1").await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(tcp.db.waiting(pglock::advisory_id("of the caller's")), 0);
    held.release().await.unwrap();
}
