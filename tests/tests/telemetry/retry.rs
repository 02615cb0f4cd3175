//! Retries of what waits for locks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pglock::{Database, Error};
use pglock_tests::{async_client, database, pid_of};
use tracing::Level;

use super::handle;
use super::metrics_recorder::numbers;
use super::spans::{OUTER, assert_all_documented, in_a_span};
use super::spans_recorder::Recorder;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn before_each_pause_there_is_an_event_with_who_was_in_the_way() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut report, mut client) = (db.connect_as("report"), db.connect());
    report.batch_execute("BEGIN; SELECT FROM orders").unwrap();
    let pid = pid_of(&mut report).to_string();
    let recorder = Recorder::default();
    let retry = pglock::retry_locks().tries(4).label("note of orders");
    let retry = retry.using(handle(&db));
    let altered = in_a_span(&recorder, || {
        retry.run(&mut client, |client| -> Result<(), AnyError> {
            Ok(client.batch_execute("ALTER TABLE orders ADD note text")?)
        })
    });
    altered.unwrap_err();
    let events = recorder.events("pglock.retry");
    assert_eq!(events.len(), 3);
    let last = &events[2];
    assert_eq!(last.level, Level::INFO);
    assert_eq!(last.parent, Some(OUTER));
    let field = |name: &str| last.fields.get(name);
    assert_eq!(field("label"), Some("note of orders"));
    assert_eq!((field("try"), field("tries")), (Some("3"), Some("4")));
    assert!(field("lock_timeout_ms").unwrap().starts_with("125."));
    let pause: f64 = field("pause_ms").unwrap().parse().unwrap();
    assert!((60.0..=100.0).contains(&pause), "{pause}");
    assert_eq!(field("holder.pid"), Some(&*pid));
    assert_eq!(field("holder.application_name"), Some("report"));
    assert_eq!(field("holder.queued"), Some("false"));
    assert!(recorder.events("pglock.spared").is_empty());
    assert_all_documented(&recorder);
}

fn tries(retry: &str, outcome: &str) -> usize {
    let labels = [("retry", retry), ("outcome", outcome)];
    numbers().count("pglock_tries_total", &labels)
}

#[test]
fn each_try_is_counted_by_how_it_ended() {
    #[pglock::retry(tries = 3, using = here)]
    fn add_note(client: &mut postgres::Client, here: &Database) -> Result<(), AnyError> {
        Ok(client.batch_execute("ALTER TABLE orders ADD note text")?)
    }

    numbers();
    let db = database();
    let here = handle(&db);
    db.execute("CREATE TABLE orders ()");
    let (mut report, mut client) = (db.connect(), db.connect());
    let by_function = concat!(module_path!(), "::add_note");
    report.batch_execute("BEGIN; SELECT FROM orders").unwrap();
    add_note(&mut client, &here).unwrap_err();
    assert_eq!(tries(by_function, "timed_out"), 2);
    assert_eq!(tries(by_function, "gave_up"), 1);
    report.batch_execute("COMMIT").unwrap();
    add_note(&mut client, &here).unwrap();
    assert_eq!(tries(by_function, "done"), 1);
    // The column is there.
    add_note(&mut client, &here).unwrap_err();
    assert_eq!(tries(by_function, "failed"), 1);

    let retry = pglock::retry_locks().label("panics").using(&here);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        retry.run(&mut client, |_| -> Result<(), Error> {
            panic!("in the body")
        })
    }));
    panics.unwrap_err();
    assert_eq!(tries("panics", "panicked"), 1);
}

#[tokio::test]
async fn an_async_try_is_counted_too_however_it_ends() {
    numbers();
    let (db, mut client) = async_client().await;
    let here = handle(&db);
    let retry = |label| pglock::retry_locks().label(label).using(&here);
    let done = async |_: &mut tokio_postgres::Client| Ok::<_, Error>(());
    let run = retry("async").run_async(&mut client, done);
    run.await.unwrap();
    assert_eq!(tries("async", "done"), 1);

    let has_begun = tokio::sync::Notify::new();
    let pending = async |_: &mut tokio_postgres::Client| -> Result<(), Error> {
        has_begun.notify_one();
        std::future::pending().await
    };
    tokio::select! {
        _ = retry("dropped").run_async(&mut client, pending) => unreachable!("it never ends"),
        () = has_begun.notified() => {}
    }
    assert_eq!(tries("dropped", "dropped"), 1);

    let task = tokio::spawn(async move {
        let panics =
            async |_: &mut tokio_postgres::Client| -> Result<(), Error> { panic!("in the body") };
        let retry = pglock::retry_locks().label("panics later").using(here);
        retry.run_async(&mut client, panics).await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(tries("panics later", "panicked"), 1);
}
