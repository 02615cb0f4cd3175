//! A lock is kept after its call.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pglock::Database;

use super::*;

#[pglock::advisory("attribute", using = here, hold_at_least = "3s")]
fn job(here: &Database) -> Result<(), Error> {
    pglock::check()
}

#[pglock::advisory("attribute-async", using = here, hold_at_least = SHORT)]
async fn job_async(here: &Database) -> Result<(), Error> {
    pglock::check()
}

/// Every way to end what held a lock.
fn leave_behind(here: &Database) -> Vec<&'static str> {
    let lock = |name| pglock::advisory(name).using(here).hold_at_least(SHORT);
    job(here).unwrap();
    pollster::block_on(job_async(here)).unwrap();
    lock("run").run(|| Ok::<_, Error>(())).unwrap();
    pollster::block_on(lock("run_async").run_async(async { Ok::<_, Error>(()) })).unwrap();
    let failed = lock("failed").run(|| Err::<(), _>(Box::<dyn std::error::Error>::from("no")));
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let panics = || lock("panicked").run(|| -> Result<(), Error> { panic!("as asked") });
    catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    drop(lock("dropped").acquire().unwrap());
    lock("released").acquire().unwrap().release().unwrap();
    lock("shared").shared().run(|| Ok::<_, Error>(())).unwrap();
    vec![
        "attribute",
        "attribute-async",
        "run",
        "run_async",
        "failed",
        "panicked",
        "dropped",
        "released",
        "shared",
    ]
}

#[test]
fn it_is_kept_until_then_however_the_call_ended() {
    let db = database();
    let here = handle(&db);
    // Connecting takes its time, which is none of the locks'.
    pglock::advisory("warm")
        .using(&here)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    let before = Instant::now();
    let names = leave_behind(&here);
    let locks = db.advisory_locks();
    assert!(before.elapsed() < SHORT, "this machine is too slow");
    assert_eq!(locks.len(), names.len(), "{locks:?}");
    for name in &names {
        assert!(held(&db, name), "{name}");
    }
    db.wait_for_no_locks_within(SHORT + BOUND);
    assert!(before.elapsed() >= SHORT, "{:?}", before.elapsed());
}

#[test]
fn meanwhile_it_is_busy_for_all_and_a_waiter_gets_it_after() {
    #[pglock::advisory("job", using = here, timeout = 0, side_effect = Skip(false), on_error = Panic)]
    fn skips(here: &Database) -> bool {
        true
    }

    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let before = Instant::now();
    lock()
        .hold_at_least(SHORT)
        .run(|| Ok::<_, Error>(()))
        .unwrap();
    assert!(!skips(&here));
    assert!(lock().shared().try_acquire().unwrap().is_none());
    let busy = lock().timeout(Duration::from_millis(1)).acquire();
    let busy = busy.unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    assert!(busy.holder().unwrap().this_process);
    let (classid, objid) = advisory_id("job");
    let key = (u64::from(classid) << 32 | u64::from(objid)).cast_signed();
    let elsewhere = db
        .connect()
        .query_one("SELECT pg_try_advisory_lock($1)", &[&key])
        .unwrap();
    assert!(!elsewhere.get::<_, bool>(0));
    assert!(before.elapsed() < SHORT, "this machine is too slow");
    lock().acquire().unwrap().release().unwrap();
    assert!(before.elapsed() >= SHORT, "{:?}", before.elapsed());
}

#[test]
fn shared_locks_are_kept_side_by_side() {
    let db = database();
    let here = handle(&db);
    for _ in 0..2 {
        let lock = pglock::advisory("job").using(&here).shared();
        lock.hold_at_least(LONG).run(|| Ok::<_, Error>(())).unwrap();
    }
    // They share one lock in the server.
    assert_eq!(db.held(advisory_id("job")), 1);
    let exclusive = pglock::advisory("job").using(&here);
    assert!(exclusive.try_acquire().unwrap().is_none());
}

/// Polls a future once.
fn begin<F: Future>(future: Pin<&mut F>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn a_call_that_is_dropped_in_its_body_leaves_it_behind() {
    let db = database();
    let here = handle(&db);
    {
        let lock = pglock::advisory("job").using(&here).hold_at_least(SHORT);
        let begun = Cell::new(false);
        let mut call = pin!(lock.run_async(async {
            begun.set(true);
            std::future::pending::<Result<(), Error>>().await
        }));
        wait_until("the body has begun", BOUND, || {
            assert!(!begin(call.as_mut()));
            begun.get()
        });
    }
    let dropped = Instant::now();
    assert!(held(&db, "job"));
    db.wait_for_no_locks_within(SHORT + BOUND);
    assert!(dropped.elapsed() > SHORT / 2, "{:?}", dropped.elapsed());
}

#[test]
fn a_call_that_is_dropped_before_it_has_the_lock_leaves_nothing() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let never = || {
        // One that has a session of its own is asked for at the first poll, and granted at a later one.
        let lock = lock().dedicated().hold_at_least(LONG);
        lock.run_async(std::future::poll_fn(|_| -> Poll<Result<(), Error>> {
            panic!("it has begun")
        }))
    };
    // Granted, and nobody has looked yet.
    {
        let mut call = pin!(never());
        assert!(!begin(call.as_mut()));
        wait_until("the lock is granted", BOUND, || held(&db, "job"));
    }
    db.wait_for_no_locks();
    // On its way.
    for _ in 0..20 {
        let mut call = pin!(never());
        assert!(!begin(call.as_mut()));
    }
    db.wait_for_no_locks();
    // In the queue.
    let guard = lock().using(another_handle(&db)).acquire().unwrap();
    {
        let mut call = pin!(never());
        assert!(!begin(call.as_mut()));
        db.wait_for_waiters(1);
    }
    guard.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn in_a_call_that_holds_another_lock_only_the_own_is_kept() {
    let db = database();
    let here = handle(&db);
    let lock = |name| pglock::advisory(name).using(&here);
    let run = |name| lock(name).run(|| Ok::<_, Error>(()));
    lock("outer")
        .run(|| {
            let kept = lock("kept").hold_at_least(LONG);
            kept.run(|| Ok::<_, Error>(()))?;
            assert!(lock("kept").try_acquire()?.is_none());
            run("after")
        })
        .unwrap();
    assert!(held(&db, "kept"));
    assert_eq!(db.advisory_locks().len(), 1);
}

#[test]
fn a_call_that_re_enters_leaves_it_to_the_outer_one() {
    let db = database();
    let here = handle(&db);
    let lock = |name| pglock::advisory(name).using(&here);
    lock("inner")
        .run(|| {
            let inner = lock("inner").hold_at_least(LONG);
            inner.run(|| Ok::<_, Error>(()))
        })
        .unwrap();
    db.wait_for_no_locks();
    lock("outer")
        .hold_at_least(LONG)
        .run(|| lock("outer").run(|| Ok::<_, Error>(())))
        .unwrap();
    assert!(held(&db, "outer"));
}

#[test]
fn a_loss_before_the_end_is_told_and_one_after_it_frees_early() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here).hold_at_least(LONG);
    let lost = lock().run(|| {
        kill_holder(&db);
        Ok::<_, Error>(())
    });
    let lost = lost.unwrap_err();
    assert!(lost.is_lost() && lost.body_finished(), "{lost}");
    lock().run(|| Ok::<_, Error>(())).unwrap();
    kill_holder(&db);
    // The session is no longer in use, and the key free, for this process too.
    lock().timeout(BOUND).run(|| Ok::<_, Error>(())).unwrap();
    kill_holder(&db);
}

/// It read like any other lock that is held.
#[test]
fn that_it_is_kept_and_for_how_long_is_in_the_error_of_others() {
    let db = database();
    let (here, elsewhere) = (handle(&db), another_handle(&db));
    let lock = || pglock::advisory("job").hold_at_least(LONG);
    let busy = |database: &Database| {
        let lock = pglock::advisory("job").using(database);
        lock.timeout(Duration::ZERO).acquire().unwrap_err()
    };
    let times = |error: &Error| {
        let holder = error.holder().unwrap();
        (holder.held_for, holder.kept_for)
    };
    for database in [&here, &elsewhere] {
        let mut client = db.connect();
        lock()
            .using(&here)
            .run(|| {
                wait_until("it is known since when", BOUND, || {
                    times(&busy(database)).0.is_some()
                });
                let error = busy(database);
                assert!(times(&error).1.is_none(), "{error}");
                Ok::<_, Error>(())
            })
            .unwrap();
        wait_until("it says that it is kept", BOUND, || {
            times(&busy(database)).1.is_some()
        });
        let error = busy(database);
        let (held, kept) = times(&error);
        let whole = held.unwrap() + kept.unwrap();
        assert!(whole.abs_diff(LONG) < BOUND, "{error}");
        assert!(error.to_string().ends_with(" more"), "{error}");
        wait_until("a connection of ours is told so", BOUND, || {
            let lock = pglock::advisory("job").timeout(Duration::ZERO);
            let error = lock.on(&mut client).acquire().unwrap_err();
            times(&error).1.is_some()
        });
        kill_holder(&db);
        db.wait_for_no_locks();
    }
}

#[test]
fn a_lock_that_a_call_still_shares_is_not_said_to_be_only_kept() {
    let db = database();
    let (here, elsewhere) = (handle(&db), another_handle(&db));
    let shared = || pglock::advisory("job").shared().using(&here);
    let run = |lock: pglock::Advisory| lock.run(|| Ok::<_, Error>(())).unwrap();
    // One after it, and one before.
    run(shared().hold_at_least(SHORT));
    let guard = shared().acquire().unwrap();
    run(shared().hold_at_least(LONG));
    let kept_for = |database: &Database| {
        let busy = pglock::advisory("job").timeout(Duration::ZERO);
        let error = busy.using(database).acquire().unwrap_err();
        let holder = error.holder().unwrap();
        // Where that is known, all is.
        holder.held_for.map(|_| holder.kept_for)
    };
    assert_eq!(kept_for(&here), Some(None));
    wait_until("the other one knows since when", BOUND, || {
        kept_for(&elsewhere).is_some()
    });
    assert_eq!(kept_for(&elsewhere), Some(None));
    guard.release().unwrap();
    // By the one that is kept longest.
    let is_long = |kept: Option<Option<Duration>>| kept.flatten() > Some(SHORT);
    assert!(is_long(kept_for(&here)));
    wait_until("the other one knows that it is kept", BOUND, || {
        is_long(kept_for(&elsewhere))
    });
}
