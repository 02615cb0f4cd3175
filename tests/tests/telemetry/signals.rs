//! Sessions that are signaled.

use std::time::Duration;

use pglock::{Database, Error};
use pglock_tests::{Server, Waiter, database, pid_of};
use tracing::Level;

use super::handle;
use super::spans::{OUTER, assert_all_documented, in_a_span};
use super::spans_recorder::Recorder;

#[test]
fn signaled_sessions_are_events() {
    #[pglock::prioritize(interval = "50ms", client = client, using = here)]
    fn migrate(client: &mut postgres::Client, here: &Database) -> Result<(), Error> {
        let locked = pglock::advisory(1).on(client).acquire()?;
        locked.release()
    }

    let db = database();
    let here = handle(&db);
    let mut blocker = db.connect_as("report");
    let pid = pid_of(&mut blocker).to_string();
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut client = db.connect();
    let recorder = Recorder::default();
    in_a_span(&recorder, || migrate(&mut client, &here)).unwrap();
    let signal = recorder.event("pglock.signal");
    assert_eq!(signal.level, Level::WARN);
    assert_eq!(signal.parent, Some(OUTER));
    assert_eq!(signal.fields.get("pid"), Some(&*pid));
    assert_eq!(signal.fields.get("action"), Some("terminated"));
    assert_eq!(signal.fields.get("application_name"), Some("report"));
    assert!(signal.fields.get("user").is_some());
    assert_all_documented(&recorder);
}

#[test]
fn a_blocker_that_cannot_be_signaled_is_reported_once() {
    let db = database();
    let here = handle(&db);
    let mut blocker = db.connect_as("report");
    let pid = pid_of(&mut blocker).to_string();
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut client = db.connect();
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        let section = pglock::prioritize()
            .interval(Duration::from_millis(20))
            .timeout(Duration::from_secs(1))
            .using(&here)
            .side_effect(pglock::Terminate::new().never_application("report"));
        let mut section = section.on(&mut client).unwrap();
        let waited = section.batch_execute("SELECT pg_advisory_lock(1)");
        assert!(waited.is_err());
    });
    let spared = recorder.event("pglock.spared");
    assert_eq!(spared.level, Level::WARN);
    assert_eq!(spared.parent, Some(OUTER));
    assert_eq!(spared.fields.get("pid"), Some(&*pid));
    let message = spared.fields.get("message").unwrap();
    assert!(message.contains("never signaled"), "{message}");
    assert!(recorder.events("pglock.signal").is_empty());
    assert_all_documented(&recorder);
}

#[test]
fn sessions_signaled_through_a_filter_are_events_and_so_are_those_left_alone() {
    let server = Server::start();
    let db = server.create_database();
    db.execute("BEGIN; SELECT pg_advisory_xact_lock_shared(1); PREPARE TRANSACTION 'p'");
    let mut blocker = db.connect();
    let pid = pid_of(&mut blocker).to_string();
    let lock = "SELECT pg_advisory_lock_shared(1)";
    blocker.batch_execute(lock).unwrap();
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let waiting = waiter.pid.to_string();
    let mut client = db.connect();
    let recorder = Recorder::default();
    in_a_span(&recorder, || {
        // It idles.
        let signaled = pglock::blocked_locks().cancel_blocking_activity(&mut client);
        assert!(signaled.unwrap().is_empty());
        let signaled = pglock::blocked_locks().terminate_blocking_activity(&mut client);
        assert_eq!(signaled.unwrap().len(), 1);
        let waits = pglock::locks().granted(false);
        assert_eq!(waits.cancel_activity(&mut client).unwrap(), [waiter.pid]);
    });
    let signals = recorder.events("pglock.signal");
    let values = |field| -> Vec<_> {
        signals
            .iter()
            .map(|signal| signal.fields.get(field))
            .collect()
    };
    assert_eq!(values("action"), [Some("terminated"), Some("canceled")]);
    assert_eq!(values("pid"), [Some(&*pid), Some(&*waiting)]);
    assert_eq!(signals[0].parent, Some(OUTER));
    let spared = recorder.events("pglock.spared");
    let pids: Vec<_> = spared.iter().map(|event| event.fields.get("pid")).collect();
    assert_eq!(pids, [Some("0"), Some(&*pid), Some("0")]);
    let message = spared[0].fields.get("message").unwrap();
    assert!(
        message.ends_with("it is a prepared transaction"),
        "{message}"
    );
    db.execute("ROLLBACK PREPARED 'p'");
    waiter.was_canceled();
}
