//! A body that has had its lock for too long is stopped, and then the lock is released.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_millis(300);

/// Notes, when dropped, who holds the lock then.
struct Dropped<'a> {
    db: &'a TestDb,
    name: &'static str,
    notes: &'a RefCell<Vec<String>>,
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        let granted = self
            .db
            .advisory_locks()
            .into_iter()
            .find(|lock| lock.granted && lock.key == advisory_id("job").into());
        let pid = granted.map_or(0, |lock| lock.pid);
        self.notes.borrow_mut().push(format!("{} {pid}", self.name));
    }
}

/// The backend that holds the lock.
fn holder(db: &TestDb) -> i32 {
    let locks = db.advisory_locks();
    locks.iter().find(|lock| lock.granted).unwrap().pid
}

fn is_stopped(result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(!error.body_finished());
    assert!(
        error.to_string().contains("`hold_at_most` (300 ms)"),
        "{error}"
    );
}

#[test]
fn the_body_is_dropped_before_another_session_has_the_lock() {
    let db = database();
    let here = handle(&db);
    let notes = RefCell::default();
    let mut first = 0;
    std::thread::scope(|scope| {
        let mut next = None;
        let before = Instant::now();
        let lock = pglock::advisory("job").using(&here).hold_at_most(LIMIT);
        let result = block_on(lock.run_async(async {
            first = holder(&db);
            next = Some(scope.spawn(|| {
                let mut client = db.connect();
                let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
                let (high, low) = advisory_id("job");
                let key = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                client.execute("SELECT pg_advisory_lock($1)", &[&key])?;
                assert_eq!(holder(&db), pid);
                Ok::<_, postgres::Error>((pid, client))
            }));
            let _dropped = Dropped {
                db: &db,
                name: "body",
                notes: &notes,
            };
            db.wait_for_waiters(1);
            pending::<Result<(), Error>>().await
        }));
        assert!(before.elapsed() >= LIMIT);
        is_stopped(result);
        // The release was waited for: the next one has it, whoever looks.
        assert_ne!(holder(&db), first);
        let (pid, _client) = next.unwrap().join().unwrap().unwrap();
        assert_eq!(holder(&db), pid);
    });
    assert_eq!(notes.into_inner(), [format!("body {first}")]);
}

#[test]
fn the_attribute_stops_it_too_with_the_calls_in_it() {
    #[pglock::advisory("job", using = here, hold_at_most = "300ms")]
    async fn outer(
        here: &Database,
        db: &TestDb,
        notes: &RefCell<Vec<String>>,
    ) -> Result<(), Error> {
        let _dropped = Dropped {
            db,
            name: "outer",
            notes,
        };
        inner(here, db, notes).await
    }

    // Whoever has the lock says for how long: this one re-enters.
    #[pglock::advisory("job", using = here, hold_at_most = "1h")]
    async fn inner(
        here: &Database,
        db: &TestDb,
        notes: &RefCell<Vec<String>>,
    ) -> Result<(), Error> {
        let _dropped = Dropped {
            db,
            name: "inner",
            notes,
        };
        other(here).await
    }

    #[pglock::advisory("other", using = here)]
    async fn other(here: &Database) -> Result<(), Error> {
        pending().await
    }

    let db = database();
    let here = handle(&db);
    let notes = RefCell::default();
    is_stopped(block_on(outer(&here, &db, &notes)));
    let notes = notes.into_inner();
    assert!(
        notes[0].starts_with("inner ") && notes[0] != "inner 0",
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("outer ") && notes[1] != "outer 0",
        "{notes:?}"
    );
    assert_eq!(notes.len(), 2);
    assert!(!held(&db, "job"));
    db.wait_for_no_locks();
}

#[tokio::test]
async fn a_call_that_re_enters_has_the_limit_of_the_outer_one() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let work = lock().run_async(async {
        lock()
            .hold_at_most(LIMIT)
            .run_async(async {
                tokio::time::sleep(LIMIT * 2).await;
                pglock::check()
            })
            .await
    });
    work.await.unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_call_that_got_out_of_its_outer_one_is_stopped_too() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let mut escaped = None;
    let outer = lock().hold_at_most(LIMIT).run_async(async {
        let mut inner = Box::pin(lock().run_async(pending::<Result<(), Error>>()));
        poll_fn(|cx| {
            assert!(inner.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        escaped = Some(inner);
        pending::<Result<(), Error>>().await
    });
    is_stopped(block_on(outer));
    // Its body is still there, and so is the lock.
    assert!(held(&db, "job"));
    is_stopped(block_on(escaped.unwrap()));
    assert!(!held(&db, "job"));
}

#[test]
fn a_body_that_awaits_nothing_keeps_the_lock_and_can_ask() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let outlives_it = || async {
        pglock::check()?;
        wait_until("check tells", BOUND, || {
            pglock::check().is_err_and(|error| error.is_lost())
        });
        assert!(held(&db, "job"));
        Ok::<_, Error>(())
    };
    let call = lock().hold_at_most(LIMIT).run_async(outlives_it());
    let result = block_on(call);
    let inner = async { lock().run_async(outlives_it()).await };
    let nested = block_on(lock().hold_at_most(LIMIT).run_async(inner));
    nested.unwrap();
    // Nobody else had it: this is no loss.
    result.unwrap();
    assert!(!held(&db, "job"));
}

#[test]
fn a_body_that_ends_in_time_is_left_alone() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here).hold_at_most(LONG);
    let value = block_on(lock().run_async(async { Ok::<_, Error>(42) }));
    assert_eq!(value.unwrap(), 42);
    let value = block_on(lock().try_run_async(async { Ok::<_, Error>(42) }));
    assert_eq!(value.unwrap(), Some(42));
    db.wait_for_no_locks();
}

#[test]
fn a_loss_before_the_limit_is_told_as_one() {
    let db = database();
    let here = handle(&db);
    let lock = pglock::advisory("job").using(&here).hold_at_most(LONG);
    let lost = block_on(lock.run_async(async {
        kill_holder(&db);
        pending::<Result<(), Error>>().await
    }));
    let lost = lost.unwrap_err();
    assert!(
        lost.is_lost() && !lost.to_string().contains("hold_at_most"),
        "{lost}"
    );
}

#[test]
fn stopped_and_kept_for_as_long_it_is_free_at_the_same_time() {
    let db = database();
    let here = handle(&db);
    let lock = pglock::advisory("job").using(&here);
    let lock = lock.hold_at_least(LIMIT).hold_at_most(LIMIT);
    is_stopped(block_on(lock.run_async(pending())));
    db.wait_for_no_locks();
}
