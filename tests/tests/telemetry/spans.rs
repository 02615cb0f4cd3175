//! Spans and events.

use std::time::Duration;

use pglock::{Database, Error, TableMode};
use pglock_tests::{BOUND, TestDb, apart, database, pid_of, wait_until};
use tracing::{Level, info, info_span};

use super::spans_recorder::{RecordedEvent, Recorder};
use super::{another_handle, assert_documented, handle};

pub(crate) const OUTER: &str = "outer";

pub(crate) fn in_a_span<R>(recorder: &Recorder, work: impl FnOnce() -> R) -> R {
    recorder.record(|| info_span!("outer").in_scope(work))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Kills the backend that holds the only lock.
pub(crate) fn kill_holder(db: &TestDb) {
    let locks = db.advisory_locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    db.terminate(locks[0].pid);
}

#[track_caller]
pub(crate) fn assert_all_documented(recorder: &Recorder) {
    let names = recorder.names();
    assert!(!names.is_empty());
    names.into_iter().for_each(assert_documented);
}

#[track_caller]
pub(crate) fn wait_for_event(recorder: &Recorder, name: &str) -> RecordedEvent {
    wait_until(name, BOUND, || !recorder.events(name).is_empty());
    recorder.event(name)
}

#[test]
fn a_call_has_a_span_while_it_waits_and_one_while_it_holds() {
    #[pglock::advisory("job-{number}", using = here, shared)]
    fn job(number: u32, here: &Database) -> Result<(), Error> {
        info!(name: "work", "at work");
        Ok(())
    }

    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    in_a_span(&recorder, || job(7, &here)).unwrap();
    let acquire = recorder.span("pglock.acquire");
    assert_eq!(acquire.parent, Some(OUTER));
    assert_eq!(acquire.fields.get("lock"), Some("job-7"));
    assert_eq!(acquire.fields.get("label"), Some("job-{number}"));
    assert_eq!(acquire.fields.get("mode"), Some("shared"));
    assert_eq!(acquire.fields.get("outcome"), Some("granted"));
    assert!(acquire.millis("waited_ms") > 0.0);
    assert!(acquire.is_closed);
    wait_until("the hold is over", BOUND, || {
        recorder.span("pglock.hold").is_closed
    });
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.parent, Some(OUTER));
    assert_eq!(hold.fields.get("lock"), Some("job-7"));
    assert_eq!(hold.fields.get("outcome"), Some("released"));
    assert!(hold.millis("held_ms") > 0.0);
    assert_eq!(recorder.event("work").parent, Some("pglock.hold"));
    assert_all_documented(&recorder);
}

#[test]
fn an_async_body_is_in_the_span_of_its_hold_whenever_it_runs() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        let body = async {
            tokio::task::yield_now().await;
            info!(name: "work", "at work");
            Ok::<_, Error>(())
        };
        let call = pglock::advisory(42)
            .label("answers")
            .using(&here)
            .run_async(body);
        runtime().block_on(call)
    })
    .unwrap();
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("lock"), Some("42"));
    assert_eq!(hold.fields.get("label"), Some("answers"));
    assert_eq!(recorder.event("work").parent, Some("pglock.hold"));
}

#[test]
fn the_body_of_a_leader_is_in_a_span_for_each_term_inside_its_hold() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        let led = pglock::leader("scheduler").using(&here).lead(|| async {
            tokio::task::yield_now().await;
            info!(name: "work", "at work");
            Ok::<_, Error>(())
        });
        runtime().block_on(led)
    })
    .unwrap();
    let term = recorder.span("pglock.lead");
    assert_eq!(term.fields.get("lock"), Some("scheduler"));
    assert_eq!(term.fields.get("term"), Some("1"));
    assert_eq!(term.parent, Some("pglock.hold"));
    assert_eq!(recorder.event("work").parent, Some("pglock.lead"));
    assert_all_documented(&recorder);
}

#[test]
fn a_skip_names_the_holder() {
    #[pglock::advisory("skipped", using = here, timeout = 0, side_effect = Skip)]
    fn job(here: &Database) -> Result<(), Error> {
        panic!("it is busy");
    }

    let db = database();
    let here = handle(&db);
    let mut client = db.connect_as("night-shift");
    let pid = pid_of(&mut client).to_string();
    let holder = pglock::advisory("skipped").on(&mut client).acquire();
    let recorder = Recorder::default();
    in_a_span(&recorder, || job(&here)).unwrap();
    let acquire = recorder.span("pglock.acquire");
    assert_eq!(acquire.fields.get("outcome"), Some("skipped"));
    let skip = recorder.event("pglock.skip");
    assert_eq!(skip.level, Level::DEBUG);
    assert_eq!(skip.parent, Some("pglock.acquire"));
    assert_eq!(skip.fields.get("lock"), Some("skipped"));
    assert_eq!(skip.fields.get("holder.pid"), Some(&*pid));
    let name = skip.fields.get("holder.application_name");
    assert_eq!(name, Some("night-shift"));
    assert!(skip.fields.get("holder.user").is_some());
    assert_eq!(skip.fields.get("holder.this_process"), Some("false"));
    assert!(skip.fields.get("holder.held_ms").is_some());
    assert!(recorder.spans("pglock.hold").is_empty());
    assert_all_documented(&recorder);
    drop(holder);
}

#[test]
fn tries_of_every_kind_are_skips_and_errors_are_not() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("busy").using(&here).acquire().unwrap();
    db.execute("CREATE TABLE orders ()");
    let mut other = db.connect();
    let mut locks_orders = other.transaction().unwrap();
    pglock::table("orders").lock(&mut locks_orders).unwrap();
    let lock = || pglock::advisory("busy").using(&here);
    let mut client = db.connect();
    let recorder = Recorder::default();
    recorder.record(|| {
        assert!(lock().try_acquire().unwrap().is_none());
        let ran = lock().try_run(|| Ok::<_, Error>(()));
        assert!(ran.unwrap().is_none());
        assert!(lock().on(&mut client).try_acquire().unwrap().is_none());
        let mut tx = client.transaction().unwrap();
        assert!(!lock().try_acquire_xact(&mut tx).unwrap());
        assert!(!pglock::table("orders").try_lock(&mut tx).unwrap());
        tx.simple_query("SELECT 1").unwrap();
    });
    assert_eq!(recorder.events("pglock.skip").len(), 5);
    let again = Recorder::default();
    again.record(|| {
        let timeout = Duration::from_millis(1);
        assert!(lock().timeout(timeout).acquire().unwrap_err().is_busy());
    });
    assert!(again.events("pglock.skip").is_empty());
    let acquire = again.span("pglock.acquire");
    assert_eq!(acquire.fields.get("outcome"), Some("busy"));
    guard.release().unwrap();
}

#[test]
fn what_goes_wrong_is_the_outcome() {
    let recorder = Recorder::default();
    let nowhere = Database::builder("postgres://nobody@127.0.0.1:1/none")
        .build()
        .unwrap();
    recorder.record(|| {
        let refused = pglock::advisory("nowhere").using(&nowhere).acquire();
        assert!(refused.unwrap_err().is_connect());
    });
    let acquire = recorder.span("pglock.acquire");
    assert_eq!(acquire.fields.get("outcome"), Some("connect"));
}

#[test]
fn a_caller_that_goes_away_is_recorded() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("awaited")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        pollster::block_on(async {
            let mut wait = Box::pin(pglock::advisory("awaited").using(&here).acquire_async());
            std::future::poll_fn(|context| {
                assert!(wait.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            db.wait_for_waiters(1);
        });
    });
    let acquire = recorder.span("pglock.acquire");
    assert_eq!(acquire.fields.get("outcome"), Some("canceled"));
    let cancel = recorder.event("pglock.cancel");
    assert_eq!(cancel.level, Level::INFO);
    assert_eq!(cancel.fields.get("lock"), Some("awaited"));
    assert_eq!(cancel.parent, Some("pglock.acquire"));
    assert_all_documented(&recorder);
    guard.release().unwrap();
}

#[test]
fn locks_on_the_callers_connections_are_recorded_too() {
    #[pglock::advisory("mine", client = client)]
    fn job(client: &mut postgres::Client) -> Result<(), Error> {
        info!(name: "work", "at work");
        Ok(())
    }

    let db = database();
    let mut client = db.connect();
    let recorder = Recorder::default();
    recorder.record(|| job(&mut client)).unwrap();
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("lock"), Some("mine"));
    assert_eq!(hold.fields.get("outcome"), Some("released"));
    assert!(hold.is_closed);
    assert_eq!(recorder.event("work").parent, Some("pglock.hold"));

    let lost = Recorder::default();
    lost.record(|| {
        let guard = pglock::advisory("mine").on(&mut client).acquire().unwrap();
        kill_holder(&db);
        assert!(guard.release().unwrap_err().is_lost());
    });
    lost.event("pglock.lost");
    let hold = lost.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("lost"));
}

#[test]
fn async_guards_record_their_release_however_they_end() {
    #[pglock::advisory("mine", client = client)]
    async fn job(client: &mut tokio_postgres::Client) -> Result<(), Error> {
        info!(name: "work", "at work");
        Ok(())
    }

    let db = database();
    let recorder = Recorder::default();
    recorder.record(|| {
        runtime().block_on(async {
            let connected = tokio_postgres::connect(db.url(), tokio_postgres::NoTls).await;
            let (mut client, connection) = connected.unwrap();
            tokio::spawn(connection);
            job(&mut client).await.unwrap();
            let lock = || pglock::advisory("mine");
            let guard = lock().on_async(&mut client).acquire().await.unwrap();
            guard.release().await.unwrap();
            drop(lock().on_async(&mut client).acquire().await.unwrap());
        });
    });
    let holds = recorder.spans("pglock.hold");
    assert_eq!(holds.len(), 3);
    for hold in holds {
        assert_eq!(hold.fields.get("outcome"), Some("released"));
        assert!(hold.is_closed);
    }
    assert_eq!(recorder.event("work").parent, Some("pglock.hold"));
    assert!(recorder.events("pglock.lost").is_empty());
}

#[test]
fn transaction_and_table_locks_have_an_attempt_and_no_hold() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut client = db.connect();
    let recorder = Recorder::default();
    recorder.record(|| {
        let mut tx = client.transaction().unwrap();
        pglock::advisory((1, 2)).acquire_xact(&mut tx).unwrap();
        let orders = pglock::table("orders").mode(TableMode::ShareRowExclusive);
        orders.lock(&mut tx).unwrap();
        tx.commit().unwrap();
    });
    let attempts = recorder.spans("pglock.acquire");
    let values = |field| -> Vec<_> { attempts.iter().map(|span| span.fields.get(field)).collect() };
    assert_eq!(values("lock"), [Some("(1, 2)"), Some("\"orders\"")]);
    assert_eq!(values("label"), [Some("unlabeled"), Some("tables")]);
    let modes = [Some("exclusive"), Some("SHARE_ROW_EXCLUSIVE")];
    assert_eq!(values("mode"), modes);
    assert!(recorder.spans("pglock.hold").is_empty());
}

#[test]
fn without_a_listener_a_skip_looks_up_no_holder() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("busy").using(&here).acquire().unwrap();
    let mut client = db.connect_as("skips");
    let locked = pglock::advisory("busy").on(&mut client).try_acquire();
    assert!(locked.unwrap().is_none());
    let last: String = apart(|| {
        let rows = db.connect().query_one(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'skips'",
            &[],
        );
        rows.unwrap().get(0)
    });
    assert!(!last.contains("pg_locks"), "{last}");
    guard.release().unwrap();
}
