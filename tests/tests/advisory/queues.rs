//! In which order callers are served, and on which sessions.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future as _, poll_fn};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pglock::Database;
use pglock_tests::{BOUND, OWN, database};

use crate::{another_handle, handle};

#[test]
fn dropping_a_guard_releases_before_the_next_try() {
    let db = database();
    let here = handle(&db);
    for _ in 0..200 {
        let guard = pglock::advisory("again")
            .using(&here)
            .try_acquire()
            .unwrap();
        drop(guard.expect("the guard before was dropped"));
    }
    db.wait_for_no_locks();
}

#[test]
fn one_process_waits_with_one_session_per_key() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("queue")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    pglock::advisory("queue")
                        .using(&here)
                        .timeout(BOUND)
                        .run(|| Ok::<_, pglock::Error>(()))
                })
            })
            .collect();
        db.wait_for_waiters(1);
        // All have asked by the time that one with a short timeout, asked last, has given up.
        let busy = pglock::advisory("queue")
            .using(&here)
            .timeout(Duration::from_millis(200))
            .acquire();
        assert!(busy.unwrap_err().is_busy());
        assert_eq!(db.waiting(pglock::advisory_id("queue")), 1);
        guard.release().unwrap();
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
    });
    db.wait_for_no_locks();
}

#[test]
fn waiting_is_first_come_first_served() {
    let db = database();
    // Settings that differ make databases of their own, so that all wait in the server.
    let places: Vec<Database> = (0..6)
        .map(|number| {
            let builder = Database::builder(db.url()).application_name(format!("place {number}"));
            builder.build().unwrap()
        })
        .collect();
    let guard = pglock::advisory("queue")
        .using(handle(&db))
        .acquire()
        .unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (number, place) in places.iter().enumerate() {
            let order = &order;
            scope.spawn(move || {
                let lock = pglock::advisory("queue").using(place);
                lock.run(|| {
                    order.lock().unwrap().push(number);
                    Ok::<_, pglock::Error>(())
                })
                .unwrap();
            });
            db.wait_for_waiters(number + 1);
        }
        guard.release().unwrap();
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn callers_of_one_process_are_served_in_their_order() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("queue")
        .using(another_handle(&db))
        .acquire()
        .unwrap();
    let order = RefCell::new(Vec::new());
    let mut calls: Vec<_> = (0..6)
        .map(|number| {
            let (order, lock) = (&order, pglock::advisory("queue").using(&here));
            Box::pin(lock.run_async(async move {
                order.borrow_mut().push(number);
                Ok::<_, pglock::Error>(())
            }))
        })
        .collect();
    // They ask in this order.
    for call in &mut calls {
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    db.wait_for_waiters(1);
    guard.release().unwrap();
    pollster::block_on(poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Ready(result) => {
                result.unwrap();
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_burst_of_session_locks_does_not_keep_xact_locks_from_using_a_session_again() {
    let db = database();
    let here = handle(&db);
    let burst: Vec<_> = (0..12)
        .map(|key| pglock::advisory(key).using(&here).acquire().unwrap())
        .collect();
    for guard in burst {
        guard.release().unwrap();
    }
    let pid_of_a_lock = || {
        let guard = pglock::advisory("xact").using(&here).xact().acquire();
        let pid = db.advisory_locks()[0].pid;
        guard.unwrap().release().unwrap();
        pid
    };
    let first = pid_of_a_lock();
    for _ in 0..3 {
        assert_eq!(pid_of_a_lock(), first, "each lock has opened a session");
    }
}

#[test]
fn sessions_are_used_again() {
    let db = database();
    let here = handle(&db);
    let mut used = HashSet::new();
    for _ in 0..50 {
        let guard = pglock::advisory("reuse").using(&here).acquire().unwrap();
        used.extend(db.backends_named(OWN));
        guard.release().unwrap();
    }
    assert_eq!(used.len(), 1, "{used:?}");
}
