//! Waits for a lock that the caller has itself.

use std::time::{Duration, Instant};

use pglock::Database;
use pglock_tests::{BOUND, background, database, wait_until};

use crate::handle;

#[test]
fn a_wait_for_oneself_is_refused_and_not_hung() {
    let db = database();
    let here = handle(&db);
    let calls = background("the calls return", move || {
        let guard = pglock::advisory("self").using(&here).acquire().unwrap();
        let error = pglock::advisory("self").using(&here).acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        let error = pglock::advisory("self")
            .using(&here)
            .run(|| Ok::<_, pglock::Error>(()))
            .unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(
            pglock::advisory("self")
                .using(&here)
                .timeout(Duration::from_millis(20))
                .acquire()
                .unwrap_err()
                .is_busy()
        );
        let busy = pglock::advisory("self")
            .using(&here)
            .timeout(Duration::ZERO)
            .acquire()
            .unwrap_err();
        assert!(busy.holder().unwrap().this_process, "{busy}");
        assert!(
            busy.to_string().contains("by this process itself"),
            "{busy}"
        );
        drop(guard);
        pglock::advisory("self")
            .using(&here)
            .acquire()
            .unwrap()
            .release()
            .unwrap();
    });
    calls.finish(2 * BOUND);
}

#[test]
fn opposite_order_ends_as_a_deadlock_for_one() {
    let db = database();
    let here = handle(&db);
    let nested = |first: &'static str, second: &'static str| {
        let here = here.clone();
        background("both calls end", move || {
            pglock::advisory(first).using(&here).run(|| {
                // Both hold their first before either asks for its second.
                wait_until("both hold their first", BOUND, || {
                    db_holds(&here, "one") && db_holds(&here, "two")
                });
                pglock::advisory(second)
                    .using(&here)
                    .run(|| Ok::<_, pglock::Error>(()))
            })
        })
    };
    let began = Instant::now();
    let results = [nested("one", "two"), nested("two", "one")].map(|call| call.finish(2 * BOUND));
    let deadlocks = results
        .iter()
        .filter(|result| result.as_ref().is_err_and(pglock::Error::is_deadlock))
        .count();
    assert_eq!(deadlocks, 1, "{results:?}");
    assert!(results.iter().any(Result::is_ok), "{results:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    db.wait_for_no_locks();
}

fn db_holds(database: &Database, lock: &'static str) -> bool {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                pglock::advisory(lock)
                    .using(database)
                    .try_acquire()
                    .unwrap()
                    .is_none()
            })
            .join()
            .unwrap()
    })
}

/// A guard is a value, which may be anywhere by now.
#[test]
fn whether_a_wait_is_for_oneself_is_decided_by_where_the_guard_is() {
    let db = database();
    let here = handle(&db);
    let calls = background("the calls return", move || {
        let lock = |name: &'static str| pglock::advisory(name).using(&here);
        // Acquired here, and freed by another thread.
        let guard = lock("moved away").acquire().unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            guard.release().unwrap();
        });
        lock("moved away").acquire().unwrap().release().unwrap();
        other.join().unwrap();
        // Acquired here, by the async door.
        let guard = pollster::block_on(lock("async").acquire_async()).unwrap();
        let error = lock("async").acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("this thread"), "{error}");
        guard.release().unwrap();
        // Acquired elsewhere, and used here.
        let acquired = lock("moved here");
        let guard = std::thread::spawn(move || acquired.acquire().unwrap());
        let guard = guard.join().unwrap();
        guard.check().unwrap();
        let error = lock("moved here").acquire().unwrap_err();
        assert!(error.is_config(), "{error}");
        drop(guard);
        // Acquired here, and used elsewhere: it may be there for as long as it likes.
        let guard = lock("in use").acquire().unwrap();
        let (used, is_used) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            guard.check().unwrap();
            used.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(4));
            guard.release().unwrap();
        });
        is_used.recv_timeout(BOUND).unwrap();
        lock("in use").acquire().unwrap().release().unwrap();
        other.join().unwrap();
    });
    calls.finish(3 * BOUND);
}
