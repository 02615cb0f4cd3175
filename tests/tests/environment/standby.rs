//! On a real hot standby.

use pglock::{advisory, advisory_id};
use pglock_tests::{BOUND, Server, TestDb, wait_until};
use postgres::{Client, NoTls};

use crate::{acquire, assert_refused, handle};

fn pair() -> (Server, TestDb, Server) {
    let primary = Server::start();
    let db = primary.create_database();
    let standby = primary.standby();
    let mut client = db.connect();
    wait_until("the standby follows", BOUND, || {
        let rows = client.query(
            "SELECT FROM pg_stat_replication WHERE state = 'streaming'",
            &[],
        );
        rows.unwrap().len() == 1
    });
    (primary, db, standby)
}

fn promote(standby: &Server) {
    let mut client = Client::connect(&standby.url("postgres"), NoTls).unwrap();
    client.batch_execute("SELECT pg_promote()").unwrap();
    wait_until("the standby is promoted", BOUND, || {
        let row = client.query_one("SELECT NOT pg_is_in_recovery()", &[]);
        row.unwrap().get(0)
    });
}

fn held(server: &Server, db: &TestDb) -> i64 {
    let mut client = Client::connect(&server.url(db.name()), NoTls).unwrap();
    let (classid, objid) = advisory_id("where");
    client
        .query_one(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = $2",
            &[&classid, &objid],
        )
        .unwrap()
        .get(0)
}

#[test]
fn a_standby_is_refused_until_it_is_promoted() {
    let (primary, db, standby) = pair();
    let on_standby = handle(&standby.url(db.name()));
    let on_primary = handle(&primary.url(db.name()));
    for _ in 0..3 {
        for xact in [false, true] {
            let error = acquire("where", xact, &on_standby).unwrap_err();
            assert_refused(
                &error,
                &["standby", "exclude nobody", "target_session_attrs"],
            );
            acquire("where", xact, &on_primary)
                .unwrap()
                .release()
                .unwrap();
        }
    }
    assert_eq!(held(&standby, &db), 0);
    assert_refused(
        &on_standby.ping().unwrap_err(),
        &["a lock has no effect", "standby"],
    );
    let mut client = Client::connect(&standby.url(db.name()), NoTls).unwrap();
    let section = pglock::prioritize().using(&on_standby).on(&mut client);
    assert_refused(
        &section.unwrap_err(),
        &["cannot prioritize", "standby", "target_session_attrs"],
    );
    drop(client);

    primary.stop();
    promote(&standby);
    let guard = advisory("where").using(&on_standby).acquire().unwrap();
    assert_eq!(held(&standby, &db), 1);
    guard.release().unwrap();
}

#[test]
fn a_url_with_both_hosts_follows_a_promotion() {
    let (primary, db, standby) = pair();
    let host = |server: &Server| {
        let url = server.url("postgres");
        let (_, rest) = url.split_once('@').unwrap();
        rest.split_once('/').unwrap().0.to_owned()
    };
    // The standby first, so that it is asked, and passed over.
    let both = |target| {
        handle(&format!(
            "postgresql://postgres@{},{}/{}?target_session_attrs={target}",
            host(&standby),
            host(&primary),
            db.name()
        ))
    };
    let read_write = both("read-write");
    let guard = advisory("where").using(&read_write).acquire().unwrap();
    assert_eq!((held(&primary, &db), held(&standby, &db)), (1, 0));
    guard.release().unwrap();
    let both = both("primary");
    let guard = advisory("where").using(&both).acquire().unwrap();
    assert_eq!((held(&primary, &db), held(&standby, &db)), (1, 0));
    primary.kill();
    wait_until("the loss is noticed", BOUND, || {
        guard.check().is_err_and(|error| error.is_lost())
    });
    drop(guard);
    promote(&standby);
    let again = advisory("where").using(&both).acquire().unwrap();
    assert_eq!(held(&standby, &db), 1);
    again.release().unwrap();
}

#[test]
fn a_primary_that_becomes_a_standby_is_refused() {
    let server = Server::start();
    let db = server.create_database();
    let here = handle(&server.url(db.name()));
    for xact in [false, true] {
        acquire("where", xact, &here).unwrap().release().unwrap();
    }
    let guard = advisory("where").using(&here).acquire().unwrap();
    server.stop();
    server.start_again_as_standby();
    assert!(guard.release().unwrap_err().is_lost());
    // Sessions that idled from before, too.
    for xact in [false, true] {
        let error = acquire("where", xact, &here).unwrap_err();
        assert_refused(&error, &["standby"]);
    }
    assert_eq!(held(&server, &db), 0);
}
