//! `Database::ping`, at the start of a program.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pglock::Database;
use pglock_tests::{BOUND, OWN, Server, database, wait_until};

use crate::{built, server};

#[test]
fn what_is_wrong_shows_before_the_first_lock() {
    let url = server().tcp_url("postgres");
    let as_scram = url.replace("postgres@", "scram:hunter3@");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    for (url, says) in [
        (as_scram, "for a lock: the password is wrong"),
        (server().tcp_url("gone"), "there is no such database"),
        (
            url.replace("postgres@", "nobody@"),
            "the server has no such user, or it may not log in",
        ),
        (
            url.replace("postgres@", "pg_monitor@"),
            "the server has no such user, or it may not log in",
        ),
        (
            "postgres://app@127.0.0.1:1/app".to_owned(),
            "nothing listens there",
        ),
        (
            format!("postgres://app@{silent}/app?connect_timeout=1"),
            "did not answer within 1 s",
        ),
    ] {
        let began = Instant::now();
        let error = built(&url).ping().unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn its_session_is_that_of_the_first_lock() {
    let db = database();
    let here = built(db.url());
    assert_eq!(db.backends_named(OWN).len(), 0);
    here.ping_async().await.unwrap();
    here.ping_async().await.unwrap();
    let opened = db.backends_named(OWN);
    assert_eq!(opened.len(), 1);
    let guard = pglock::advisory("first")
        .using(&here)
        .acquire_async()
        .await
        .unwrap();
    assert_eq!(db.backends_named(OWN), opened);
    // Locks are not in its way, nor is it in theirs.
    here.ping_async().await.unwrap();
    guard.release_async().await.unwrap();
}

#[test]
fn a_server_that_went_away_is_seen_and_so_is_its_return() {
    let server = Server::start();
    let here = Database::builder(server.url("postgres")).build().unwrap();
    here.ping().unwrap();
    server.stop();
    assert!(here.ping().unwrap_err().is_connect());
    server.start_again();
    wait_until("it answers again", BOUND, || here.ping().is_ok());
}

#[test]
fn the_default_database_has_a_handle() {
    let db = database();
    pglock::configure(db.url()).unwrap();
    pglock::Using::from("default")
        .database()
        .unwrap()
        .ping()
        .unwrap();
    let unknown = pglock::Using::from("unknown").database().unwrap_err();
    assert!(unknown.is_config());
}
