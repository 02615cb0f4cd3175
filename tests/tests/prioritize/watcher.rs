//! The watcher: one connection for all sections, and its errors.

use std::sync::Barrier;

use pglock::{Database, ErrorKind};
use pglock_tests::{BOUND, OWN, Server, TestDb, database, wait_until};

use crate::{Blocker, INTERVAL, prioritize};

/// A database whose sessions of pglock's own are known by their name.
fn named(db: &TestDb, name: &str) -> Database {
    Database::builder(db.url())
        .application_name(name)
        .build()
        .unwrap()
}

#[test]
fn two_hundred_sections_have_one_connection() {
    const SECTIONS: usize = 200;
    let server = Server::builder().setting("max_connections", "230").start();
    let db = server.create_database();
    let watcher = named(&db, "watched");
    let mut blockers: Vec<_> = (0..SECTIONS / 20)
        .map(|n| Blocker::new(&db, &format!("SELECT pg_advisory_lock({n})")))
        .collect();
    let clients: Vec<_> = (0..SECTIONS).map(|_| db.connect()).collect();
    let all_done = Barrier::new(SECTIONS + 1);
    std::thread::scope(|scope| {
        for (n, mut client) in clients.into_iter().enumerate() {
            let (watcher, all_done) = (&watcher, &all_done);
            scope.spawn(move || {
                let mut section = prioritize_by(watcher).on(&mut client).unwrap();
                // The waiters of one key don't keep each other out.
                section
                    .batch_execute(&format!("SELECT pg_advisory_lock_shared({})", n % 10))
                    .unwrap();
                all_done.wait();
                section.finish().unwrap();
            });
        }
        all_done.wait();
        assert_eq!(db.backends_named("pglock: watched").len(), 1);
    });
    assert!(blockers.iter_mut().all(|blocker| !blocker.is_alive()));
}

fn prioritize_by(database: &Database) -> pglock::Prioritize {
    pglock::prioritize().interval(INTERVAL).using(database)
}

#[test]
fn a_watcher_whose_session_was_ended_connects_again() {
    let db = database();
    let mut client = db.connect();
    let watcher = named(&db, "ended");
    let mut section = prioritize_by(&watcher).on(&mut client).unwrap();
    wait_until("it polls", BOUND, || {
        !db.backends_named("pglock: ended").is_empty()
    });
    for pid in db.backends_named("pglock: ended") {
        db.terminate(pid);
    }
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
}

#[test]
fn a_watcher_that_cannot_connect_is_an_error_before_the_body() {
    let db = database();
    let mut client = db.connect();
    let nobody = Database::builder("postgres://nobody@127.0.0.1:1/nowhere")
        .build()
        .unwrap();
    let error = prioritize_by(&nobody).on(&mut client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("watcher"), "{error}");
    client.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_watcher_of_another_database_is_an_error_before_the_body() {
    let (db, other) = (database(), database());
    let server = Server::start();
    let elsewhere = server.create_database();
    for wrong in [&other, &elsewhere] {
        let mut client = db.connect();
        let section = prioritize_by(&named(wrong, "astray")).on(&mut client);
        let error = section.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("`using`"), "{error}");
    }
}

#[test]
fn a_poll_that_fails_is_in_the_report_and_an_error_at_the_end() {
    let server = Server::start();
    let db = server.create_database();
    let mut client = db.connect();
    let watcher = named(&db, "refused");
    let section = prioritize_by(&watcher).on(&mut client).unwrap();
    // Nobody is let in any more, and who was is ended.
    db.execute(&format!(
        "ALTER DATABASE {} CONNECTION LIMIT 0; CREATE ROLE app; ",
        db.name()
    ));
    db.execute("UPDATE pg_database SET datallowconn = false WHERE datname = current_database()");
    let mut elsewhere =
        postgres::Client::connect(&server.url("postgres"), postgres::NoTls).unwrap();
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pglock: refused'";
    elsewhere.execute(ended, &[]).unwrap();
    wait_until("a poll fails", BOUND, || {
        section.report().unwrap().error().is_some()
    });
    let report = section.report().unwrap().to_string();
    assert!(report.contains("watcher"), "{report}");
    assert!(section.finish().unwrap_err().is_connect());
    elsewhere
        .batch_execute("UPDATE pg_database SET datallowconn = true")
        .unwrap();
}

#[test]
fn a_section_whose_session_has_ended_ends_nobody_elses_wait() {
    let db = database();
    let mut client = db.connect();
    let pid = crate::pid_of(&mut client);
    let section = prioritize(&db).on(&mut client).unwrap();
    db.terminate(pid);
    wait_until("it is gone", BOUND, || !crate::is_alive(&db, pid));
    wait_until("a poll has come", BOUND, || {
        !db.backends_named(OWN).is_empty()
    });
    drop(section);
    assert!(client.is_closed() || client.batch_execute("SELECT 1").is_err());
}
