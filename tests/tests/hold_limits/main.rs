//! For how long locks are held: at least, after the call too, and at most, whatever the body does.

mod at_least;
mod at_most;
mod processes;

use std::time::Duration;

use pglock::{Database, Error, advisory_id};
use pglock_tests::{BOUND, TestDb, database, wait_until};

/// Longer than any test takes: what is free before it wasn't released by time.
const LONG: Duration = Duration::from_secs(600);

/// Long enough for a loaded machine to look at what is kept, before it is released.
const SHORT: Duration = Duration::from_secs(3);

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// A handle that shares no session with [`handle`]: what one holds, the other waits for in the server.
fn another_handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("another handle");
    builder.build().unwrap()
}

fn held(db: &TestDb, name: &str) -> bool {
    db.held(advisory_id(name)) > 0
}

/// Runs what has to end: where it doesn't, the test fails.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(2 * BOUND, future).await });
    ended.expect("it was not stopped")
}

/// Kills the backend that holds the only lock.
fn kill_holder(db: &TestDb) {
    let locks = db.advisory_locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    db.terminate(locks[0].pid);
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let db = database();
    let here = handle(&db);
    // One that is not refused may be kept, and then the next would wait.
    let lock = || pglock::advisory("job").using(&here).timeout(SHORT);
    let most = || lock().hold_at_most(LONG);
    let mut client = db.connect();
    let refused = [
        ("run", most().run(|| Ok::<_, Error>(())).err()),
        ("run", most().try_run(|| Ok::<_, Error>(())).map(drop).err()),
        ("run", most().acquire().err()),
        ("run", most().try_acquire().err()),
        ("run", pollster::block_on(most().acquire_async()).err()),
        ("run", pollster::block_on(most().try_acquire_async()).err()),
        ("connection", most().on(&mut client).acquire().err()),
        (
            "connection",
            lock().hold_at_least(LONG).on(&mut client).acquire().err(),
        ),
        (
            "connection",
            lock()
                .hold_at_least(LONG)
                .acquire_xact(&mut client.transaction().unwrap())
                .err(),
        ),
        (
            "transaction",
            lock().hold_at_least(LONG).xact().acquire().err(),
        ),
        ("zero", lock().hold_at_least(Duration::ZERO).acquire().err()),
        (
            "longer",
            pollster::block_on(
                most()
                    .hold_at_least(LONG * 2)
                    .run_async(async { Ok::<_, Error>(()) }),
            )
            .err(),
        ),
    ];
    for (index, (text, error)) in refused.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("number {index} ({text}) was not refused"));
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    db.wait_for_no_locks();
}
