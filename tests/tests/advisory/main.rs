//! Locks on pglock's own sessions: exclusion between processes, timeouts, modes, ids, errors.

mod holders;
mod kinds;
mod oneself;
mod processes;
mod queues;
mod refused;

use pglock::{Database, Guard};
use pglock_tests::{BOUND, Child, TestDb, child};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// A handle that shares no session with [`handle`]: what one holds, the other waits for in the server.
fn another_handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("another handle");
    builder.build().unwrap()
}

/// Another process that holds `lock` until it is told to end. Its id is `HOLDER` or what the role says.
fn hold_in_this_process(mode: &str) {
    let database = Database::builder(child::argument("URL"))
        .application_name("other")
        .build()
        .unwrap();
    let lock = pglock::advisory(child::argument("LOCK").as_str()).using(&database);
    let lock = if mode == "shared" {
        lock.shared()
    } else {
        lock
    };
    let guard: Guard = lock.acquire().unwrap();
    child::say("got");
    child::wait_for_end();
    guard.release().unwrap();
}

fn held_elsewhere(db: &TestDb, test: &str, role: &str, lock: &str) -> Child {
    let mut child = Child::of(test, role)
        .argument("URL", db.url())
        .argument("LOCK", lock)
        .start();
    child.wait_for_line("got", BOUND);
    child
}
