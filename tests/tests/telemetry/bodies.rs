//! Bodies that do not return: dropped by their callers, or panicked. And locks that are only kept.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use pglock::{Advisory, Database, Error};
use pglock_tests::{BOUND, database, wait_until};
use tracing::Level;

use super::metrics_recorder::numbers;
use super::spans::{assert_all_documented, kill_holder, runtime, wait_for_event};
use super::spans_recorder::Recorder;
use super::{assert_documented, handle};

#[pglock::advisory("own", using = here, on_error = Panic)]
fn own(here: &Database, body: impl FnOnce()) {
    body();
}

#[pglock::advisory("own", using = here, on_error = Panic)]
async fn own_async(here: &Database, body: impl Future<Output = ()>) {
    body.await;
}

#[pglock::advisory("mine", client = client, on_error = Panic)]
fn mine(client: &mut postgres::Client, body: impl FnOnce()) {
    body();
}

#[pglock::advisory("mine", client = client, on_error = Panic)]
async fn mine_async(client: &mut tokio_postgres::Client, body: impl Future<Output = ()>) {
    body.await;
}

/// Polls a future until it has taken its lock, and drops it.
async fn begin_and_drop(call: impl Future<Output = ()>, begun: &std::cell::Cell<bool>) {
    let mut call = pin!(call);
    std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        if begun.get() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

fn panics(work: impl FnOnce()) {
    let hook = catch_unwind(AssertUnwindSafe(work));
    hook.unwrap_err();
}

fn is_asked_to_panic() {
    panic!("as asked");
}

/// The outcome of the only hold, once it is over, and its event.
#[track_caller]
fn assert_ended(recorder: &Recorder, outcome: &str, event: &str) {
    wait_until("the hold is over", BOUND, || {
        recorder.span("pglock.hold").is_closed
    });
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some(outcome));
    let event = recorder.event(event);
    assert_eq!(event.level, Level::INFO);
    assert_eq!(event.parent, Some("pglock.hold"));
    assert_eq!(event.fields.get("lock"), hold.fields.get("lock"));
    assert!(recorder.events("pglock.lost").is_empty());
    assert_all_documented(recorder);
    assert_documented(outcome);
}

#[test]
fn a_body_that_its_caller_drops_is_an_outcome() {
    let db = database();
    let here = handle(&db);
    let begun = std::cell::Cell::new(false);
    let body = || async {
        begun.set(true);
        std::future::pending::<()>().await;
    };
    let recorder = Recorder::default();
    recorder.record(|| runtime().block_on(begin_and_drop(own_async(&here, body()), &begun)));
    assert_ended(&recorder, "dropped", "pglock.drop");

    begun.set(false);
    let recorder = Recorder::default();
    recorder.record(|| {
        runtime().block_on(async {
            let connected = tokio_postgres::connect(db.url(), tokio_postgres::NoTls).await;
            let (mut client, connection) = connected.unwrap();
            tokio::spawn(connection);
            begin_and_drop(mine_async(&mut client, body()), &begun).await;
        });
    });
    assert_ended(&recorder, "dropped", "pglock.drop");
    db.wait_for_no_locks();
}

#[test]
fn a_body_that_panics_is_an_outcome() {
    let db = database();
    let here = handle(&db);
    let mut client = db.connect();
    let panicking = || async { is_asked_to_panic() };
    let on_own_session = || own(&here, is_asked_to_panic);
    let in_a_future = || runtime().block_on(own_async(&here, panicking()));
    let on_a_connection = || mine(&mut client, is_asked_to_panic);
    let on_an_async_connection = || {
        runtime().block_on(async {
            let connected = tokio_postgres::connect(db.url(), tokio_postgres::NoTls).await;
            let (mut client, connection) = connected.unwrap();
            tokio::spawn(connection);
            mine_async(&mut client, panicking()).await;
        });
    };
    let calls: [Box<dyn FnOnce()>; 4] = [
        Box::new(on_own_session),
        Box::new(in_a_future),
        Box::new(on_a_connection),
        Box::new(on_an_async_connection),
    ];
    for call in calls {
        let recorder = Recorder::default();
        recorder.record(|| panics(call));
        assert_ended(&recorder, "panicked", "pglock.panic");
    }
    db.wait_for_no_locks();
}

#[test]
fn a_call_inside_decides_nothing_about_the_body_around_it() {
    let db = database();
    let here = handle(&db);
    let recorder = Recorder::default();
    recorder.record(|| {
        own(&here, || {
            panics(|| own(&here, is_asked_to_panic));
            let mut inner = pin!(own_async(&here, std::future::pending()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(inner.as_mut().poll(&mut context).is_pending());
        });
    });
    wait_until("the hold is over", BOUND, || {
        recorder.span("pglock.hold").is_closed
    });
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("released"));
    assert!(recorder.events("pglock.panic").is_empty());
    assert!(recorder.events("pglock.drop").is_empty());
}

#[test]
fn how_a_body_ended_is_counted() {
    let numbers = numbers();
    let db = database();
    let here = handle(&db);
    let lock = |label| pglock::advisory(label).label(label).using(&here);
    panics(|| {
        let run = lock("panicking").run(|| -> Result<(), Error> { panic!("as asked") });
        run.unwrap();
    });
    let begun = std::cell::Cell::new(false);
    let body = async {
        begun.set(true);
        std::future::pending::<Result<(), Error>>().await
    };
    let call = async { lock("dropping").run_async(body).await.unwrap() };
    runtime().block_on(begin_and_drop(call, &begun));
    for (label, outcome) in [("panicking", "panicked"), ("dropping", "dropped")] {
        let labels = [("lock", label), ("mode", "exclusive"), ("outcome", outcome)];
        wait_until(outcome, BOUND, || {
            numbers.of("pglock_hold_seconds", &labels).len() == 1
        });
    }
}

/// It was an error, as if somebody worked under it.
#[test]
fn the_loss_of_a_lock_that_is_only_kept_is_a_warning_that_says_so() {
    let db = database();
    let here = handle(&db);
    let lock = || -> Advisory { pglock::advisory("kept").using(&here) };
    let recorder = Recorder::default();
    recorder.record(|| {
        let kept = lock().hold_at_least(Duration::from_secs(600));
        kept.run(|| Ok::<_, Error>(())).unwrap();
    });
    kill_holder(&db);
    let lost = wait_for_event(&recorder, "pglock.lost");
    assert_eq!(lost.level, Level::WARN);
    let message = lost.fields.get("message").unwrap();
    assert!(message.contains("its job had ended"), "{message}");
    let hold = recorder.span("pglock.hold");
    assert_eq!(hold.fields.get("outcome"), Some("lost"));
}
