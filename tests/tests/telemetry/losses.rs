//! Locks that are lost, or kept for longer than their body.

use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Proxy, Server, database, wait_until};
use tracing::Level;

use super::handle;
use super::spans::{assert_all_documented, in_a_span, kill_holder, runtime, wait_for_event};
use super::spans_recorder::Recorder;

#[test]
fn a_loss_is_reported_once_while_the_body_still_runs() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        let body = || {
            kill_holder(&db);
            let lost = wait_for_event(&recorder, "pglock.lost");
            assert_eq!(lost.level, Level::ERROR);
            assert_eq!(lost.parent, Some("pglock.hold"));
            assert_eq!(lost.fields.get("lock"), Some("lost"));
            let why = lost.fields.get("why").unwrap();
            assert!(why.contains("terminating connection"), "{why}");
            Ok::<_, Error>(())
        };
        let error = pglock::advisory("lost").using(&here).run(body).unwrap_err();
        assert!(error.is_lost());
    });
    recorder.event("pglock.lost");
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("lost"));
    assert_all_documented(&recorder);
}

#[test]
fn a_loss_by_a_session_that_pglock_closes_is_reported_while_the_body_still_runs() {
    let server = Server::start();
    let db = server.create_database();
    let proxy = Proxy::start(&server);
    let here = Database::builder(proxy.url(db.name()))
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    let recorder = Recorder::default();
    let error = recorder.record(|| {
        let body = || {
            // The server is silent, so the session is given up.
            proxy.stop_forwarding();
            let lost = wait_for_event(&recorder, "pglock.lost");
            assert_eq!(lost.fields.get("lock"), Some("outer"));
            Ok::<_, Error>(())
        };
        pglock::advisory("outer").using(&here).run(body)
    });
    assert!(error.unwrap_err().is_lost());
    recorder.event("pglock.lost");
}

#[test]
fn a_guard_that_is_dropped_on_a_closed_connection_has_lost_its_lock() {
    let db = database();
    let recorder = Recorder::default();
    recorder.record(|| {
        runtime().block_on(async {
            let connected = tokio_postgres::connect(db.url(), tokio_postgres::NoTls).await;
            let (mut client, connection) = connected.unwrap();
            let connection = tokio::spawn(connection);
            let lock = pglock::advisory("mine").on_async(&mut client);
            let guard = lock.acquire().await.unwrap();
            kill_holder(&db);
            assert!(connection.await.unwrap().is_err());
            drop(guard);
        });
    });
    recorder.event("pglock.lost");
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("lost"));
}

#[test]
fn a_body_that_is_stopped_has_lost_its_lock() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    recorder.record(|| {
        let hangs = std::future::pending::<Result<(), Error>>();
        let call = pglock::advisory("stopped")
            .using(&here)
            .hold_at_most(Duration::from_millis(50))
            .run_async(hangs);
        assert!(pollster::block_on(call).unwrap_err().is_lost());
    });
    let lost = recorder.event("pglock.lost");
    let why = lost.fields.get("why").unwrap();
    assert!(why.contains("hold_at_most"), "{why}");
    // Its caller is still there.
    assert!(recorder.events("pglock.drop").is_empty());
}

#[test]
fn a_kept_lock_is_held_until_its_time_is_over() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    let least = Duration::from_secs(1);
    let began = Instant::now();
    recorder.record(|| {
        let lock = pglock::advisory("kept").using(&here).hold_at_least(least);
        lock.run(|| Ok::<_, Error>(())).unwrap();
    });
    wait_until("it is over", BOUND, || {
        recorder.span("pglock.hold").is_closed
    });
    assert!(began.elapsed() >= least);
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("released"));
    assert!(hold.millis("held_ms") >= 999.0, "{hold:?}");
}
