//! Retries of what waits for locks.

use pglock_tests::{database, pid_of};
use tracing::Level;

use super::handle;
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
    let retry = pglock::retry_locks().tries(4).using(handle(&db));
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
