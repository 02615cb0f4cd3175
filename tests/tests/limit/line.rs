//! The line of those who wait: in which order they are served, and who stops it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pglock::Database;
use pglock_tests::{BOUND, Key, background, database, wait_until};

use crate::{fill, handle, handles, session_of, sms};

#[test]
fn callers_that_try_at_once_all_get_a_permit_while_there_are_some() {
    /// For as long a try waits for those who were there before it.
    const WAITED: Duration = Duration::from_millis(250);
    let db = database();
    let mut all_had_one = 0;
    for here in handles(&db, 4) {
        let tries: Vec<_> = std::thread::scope(|scope| {
            let try_once = || {
                let began = Instant::now();
                (sms(&here).try_acquire().unwrap(), began.elapsed())
            };
            let tries: Vec<_> = (0..3).map(|_| scope.spawn(try_once)).collect();
            let tries = tries.into_iter();
            tries.map(|tried| tried.join().unwrap()).collect()
        });
        for (permit, took) in &tries {
            // A busy machine can be late with those before.
            assert!(permit.is_some() || *took >= WAITED, "{tries:?}");
        }
        all_had_one += usize::from(tries.iter().all(|(permit, _)| permit.is_some()));
        drop(tries);
        db.wait_for_no_locks();
    }
    assert!(all_had_one > 0);
}

#[test]
fn those_who_wait_are_served_in_order() {
    let db = database();
    let here = handle(&db);
    let mut permits = fill(&here);
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiters: Vec<_> = handles(&db, 6)
        .into_iter()
        .enumerate()
        .map(|(nth, there)| {
            let order = Arc::clone(&order);
            let waiter = background("it is served", move || {
                let permit = sms(&there).acquire().unwrap();
                order.lock().unwrap().push(nth);
                permit
            });
            // One is first in line, the others wait for that.
            let line = pglock::advisory_id("sms");
            wait_until("it stands in line", BOUND, || {
                db.held(line) == 1 && db.waiting(line) == nth
            });
            waiter
        })
        .collect();
    for (nth, waiter) in waiters.into_iter().enumerate() {
        permits.remove(0).release().unwrap();
        wait_until("one is served", BOUND, || order.lock().unwrap().len() > nth);
        permits.push(waiter.finish(BOUND));
    }
    drop(permits);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    db.wait_for_no_locks();
}

#[test]
fn a_permit_is_free_once_its_session_is_gone() {
    let db = database();
    let here = handle(&db);
    let dedicated: Vec<_> = (0..3)
        .map(|_| sms(&here).dedicated().acquire().unwrap())
        .collect();
    let slot = dedicated[1].slot();
    let waiter = background("it gets the permit", {
        let there = handle(&db);
        move || sms(&there).acquire().map(|permit| permit.slot())
    });
    wait_until("it is first in line", BOUND, || {
        db.held(pglock::advisory_id("sms")) == 1
    });
    db.terminate(session_of(&db, &dedicated[1]));
    assert_eq!(waiter.finish(BOUND).unwrap(), slot);
    wait_until("the loss is known", BOUND, || dedicated[1].check().is_err());
}

#[test]
fn never_more_than_so_many_in_the_order_of_arrival_while_holders_are_killed() {
    const SESSIONS: usize = 12;
    const HOLDS: usize = 300;
    let db = database();
    let (inside, most, asked) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let served = Mutex::new(Vec::new());
    let hold = |here: &Database, rng: &mut fastrand::Rng| {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        let permit = sms(here).dedicated().acquire().unwrap();
        served.lock().unwrap().push(number);
        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(rng.u64(1..20)));
        inside.fetch_sub(1, Ordering::SeqCst);
        if rng.u8(..10) == 0 {
            // It frees its permit by its end.
            db.terminate(session_of(&db, &permit));
            assert!(permit.release().unwrap_err().is_lost());
        }
    };
    std::thread::scope(|scope| {
        for (seed, here) in (1..).zip(handles(&db, SESSIONS)) {
            let (hold, asked) = (&hold, &asked);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                while asked.load(Ordering::SeqCst) < HOLDS {
                    hold(&here, &mut rng);
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let served = served.into_inner().unwrap();
    assert!(served.len() >= HOLDS);
    // By how many each was overtaken who asked after it: who has to connect first, or is late to get in line on a slow
    // machine, is so by some.
    let overtaken = (0..served.len()).map(|nth| {
        let before = served[..nth].iter();
        before.filter(|other| **other > served[nth]).count()
    });
    let mut overtaken: Vec<_> = overtaken.collect();
    overtaken.sort_unstable();
    let most_of_them = overtaken[overtaken.len() * 19 / 20];
    eprintln!(
        "OVER {most_of_them} {:?}",
        &overtaken[overtaken.len() - 20..]
    );
    assert!(most_of_them <= 5, "{overtaken:?}");
    assert!(*overtaken.last().unwrap() <= 3 * SESSIONS, "{overtaken:?}");
    db.wait_for_no_locks();
}

#[test]
fn nobody_begins_while_somebody_holds_the_limits_own_lock() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let stopped = pglock::advisory("sms").using(&there).acquire().unwrap();
    assert!(sms(&here).try_acquire().unwrap().is_none());
    // Who it is may not be known in time on a busy machine.
    wait_until("it is told who stops it", 3 * BOUND, || {
        let error = sms(&here).timeout(Duration::from_millis(500)).acquire();
        let error = error.unwrap_err();
        assert!(error.is_busy(), "{error}");
        let begins = "nobody may begin under limit \"sms\" after a wait of 500 ms: the lock";
        assert!(error.to_string().starts_with(begins), "{error}");
        let holder = error.holder();
        holder.is_some_and(|holder| holder.application_name == "pglock: worker-1")
    });
    stopped.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn one_that_is_first_in_line_and_loses_that_stands_in_line_again() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let mut permits = fill(&there);
    let waiter = background("it gets a permit", move || sms(&here).acquire().unwrap());
    let line = Key::from(pglock::advisory_id("sms"));
    let first = || {
        db.advisory_locks()
            .into_iter()
            .find(|lock| lock.key == line)
    };
    wait_until("it is first in line", BOUND, || first().is_some());
    let lost = first().unwrap().pid;
    db.terminate(lost);
    wait_until("it is again, by another session", BOUND, || {
        first().is_some_and(|lock| lock.pid != lost)
    });
    permits.remove(0).release().unwrap();
    waiter.finish(BOUND).check().unwrap();
}
