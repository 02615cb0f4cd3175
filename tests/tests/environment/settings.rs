//! Timeouts that a role or a database sets don't end a lock session, or a wait of one.

use std::thread;
use std::time::Duration;

use pglock::{Database, advisory, advisory_id};
use pglock_tests::{BOUND, OWN, TestDb, wait_until};

use crate::{acquire, handle, server};

/// Far shorter than what the tests do, and long enough for a loaded machine to connect.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Those that this version of Postgres knows, on the database or on a role.
fn hostile(on_role: bool) -> (TestDb, Database) {
    let db = server().create_database();
    let name = db.name().to_owned();
    let (whom, url) = if on_role {
        db.execute(&format!("CREATE ROLE {name} LOGIN"));
        (
            format!("ROLE {name}"),
            db.url().replacen("postgres@", &format!("{name}@"), 1),
        )
    } else {
        (format!("DATABASE {name}"), db.url().to_owned())
    };
    db.execute(&format!(
        "DO $$ DECLARE s text; BEGIN FOR s IN SELECT name FROM pg_settings WHERE name IN ('statement_timeout', \
         'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') \
         LOOP EXECUTE format('ALTER {whom} SET %I = {}', s); END LOOP; END $$",
        TIMEOUT.as_millis()
    ));
    (db, handle(&url))
}

#[test]
fn a_held_lock_outlasts_them() {
    for on_role in [false, true] {
        let (db, here) = hostile(on_role);
        for xact in [false, true] {
            let guard = acquire("kept", xact, &here).unwrap();
            // What is to happen within this time is nothing.
            thread::sleep(3 * TIMEOUT);
            guard.check().unwrap();
            assert_eq!(db.held(advisory_id("kept")), 1);
            guard.release().unwrap();
            db.wait_for_no_locks();
        }
    }
}

#[test]
fn a_wait_outlasts_them() {
    for on_role in [false, true] {
        for xact in [false, true] {
            let (db, here) = hostile(on_role);
            let guard = advisory("waited")
                .using(server_handle(&db))
                .acquire()
                .unwrap();
            let waiter = {
                let here = here.clone();
                thread::spawn(move || acquire("waited", xact, &here).unwrap().release().unwrap())
            };
            wait_until("one waits", BOUND, || {
                db.waiting(advisory_id("waited")) == 1
            });
            thread::sleep(3 * TIMEOUT);
            assert_eq!(db.waiting(advisory_id("waited")), 1);
            guard.release().unwrap();
            waiter.join().unwrap();
            db.wait_for_no_locks();
        }
    }
}

/// Another pool than that of the waiter, as another process has.
fn server_handle(db: &TestDb) -> Database {
    Database::builder(db.url())
        .application_name("holder")
        .build()
        .unwrap()
}

#[test]
fn an_idle_session_is_there_for_the_next_lock() {
    let (db, here) = hostile(false);
    advisory("idle")
        .using(&here)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    let before = db.backends_named(OWN);
    thread::sleep(3 * TIMEOUT);
    advisory("idle")
        .using(&here)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    assert_eq!(db.backends_named(OWN), before);
}
