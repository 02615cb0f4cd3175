//! Subscribers and recorders that panic, and subscribers that request locks where pglock's own thread calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use pglock::{Database, Error};
use pglock_tests::{BOUND, background, database, wait_until};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::handle;

/// Does something at each span and event of that name.
struct When<F> {
    name: &'static str,
    does: F,
}

impl<F: Fn()> When<F> {
    fn reached(&self, name: &str) {
        if name == self.name {
            (self.does)();
        }
    }
}

impl<S: Subscriber, F: Fn() + Send + Sync + 'static> Layer<S> for When<F> {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.reached(attributes.metadata().name());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.reached(event.metadata().name());
    }
}

/// Runs the work with a subscriber that does this at that span or event.
fn when<R>(
    name: &'static str,
    does: impl Fn() + Send + Sync + 'static,
    work: impl FnOnce() -> R,
) -> R {
    let subscriber = tracing_subscriber::registry().with(When { name, does });
    tracing::subscriber::with_default(subscriber, work)
}

fn panics() {
    panic!("the subscriber panics");
}

#[test]
fn a_subscriber_that_panics_at_a_request_does_not_stop_it() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("requested").using(&here);
    let guard = when("pglock.acquire", panics, || lock().acquire());
    guard.unwrap().release().unwrap();

    let mut client = db.connect();
    let on = pglock::advisory("requested").on(&mut client);
    let guard = when("pglock.acquire", panics, || on.acquire());
    guard.unwrap().release().unwrap();
    db.wait_for_no_locks();
}

/// A recorder whose counters panic.
struct Panics;

impl CounterFn for Panics {
    fn increment(&self, _: u64) {
        panic!("the recorder panics");
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Panics))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_recorder_that_panics_at_a_request_does_not_stop_it() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("requested").using(&here);
    let guard = metrics::with_local_recorder(&Panics, || lock().acquire());
    guard.unwrap().release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_panic_at_a_grant_leaves_no_lock_behind() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("granted").using(&here);
    let guard = when("pglock.hold", panics, || lock().acquire());
    guard.unwrap().release().unwrap();
    db.wait_for_no_locks();

    let mut client = db.connect();
    let on = pglock::advisory("granted").on(&mut client);
    let guard = when("pglock.hold", panics, || on.acquire());
    guard.unwrap().release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_panic_at_a_loss_changes_nothing_for_the_holder() {
    let db = database();
    let here = handle(&db);
    let lock = pglock::advisory("lost").using(&here);
    let guard = when("pglock.lost", panics, || lock.acquire()).unwrap();
    db.terminate(db.advisory_locks()[0].pid);
    // A release that is written before the server's last words are read finds only a broken connection.
    wait_until("the loss is known", BOUND, || guard.check().is_err());
    let error = guard.release().unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(error.to_string().contains("terminating"), "{error}");
}

#[test]
fn a_panic_at_a_signal_does_not_end_the_watch() {
    let db = database();
    let here = handle(&db);
    let mut client = db.connect();
    let panicked = AtomicBool::new(false);
    let panics_once = move || {
        if !panicked.swap(true, Ordering::Relaxed) {
            panics();
        }
    };
    when("pglock.signal", panics_once, || {
        for key in 1..=2 {
            let mut blocker = db.connect();
            let takes = format!("SELECT pg_advisory_lock({key})");
            blocker.batch_execute(&takes).unwrap();
            let section = pglock::prioritize()
                .using(&here)
                .interval(Duration::from_millis(50))
                .timeout(BOUND);
            let mut section = section.on(&mut client).unwrap();
            section.batch_execute(&takes).unwrap();
            assert_eq!(section.finish().unwrap().signaled().len(), 1);
        }
    });
}

#[test]
fn a_lock_requested_at_a_loss_does_not_stop_all_others() {
    fn asks(here: Database) -> impl Fn() {
        move || drop(pglock::advisory("of the subscriber").using(&here).acquire())
    }

    let db = database();
    let here = handle(&db);
    let lost = background("a loss, and another lock", move || {
        let lock = || pglock::advisory("lost").using(&here);
        let guard = when("pglock.lost", asks(here.clone()), || lock().acquire())?;
        db.terminate(db.advisory_locks()[0].pid);
        assert!(guard.release().unwrap_err().is_lost());
        lock().run(|| Ok::<_, Error>(()))
    });
    lost.finish(BOUND).unwrap();
}
