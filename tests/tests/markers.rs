//! The markers by which deadlocks across processes are found take no lock away, and stay nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Background, Server, TestDb, background, database, wait_until};

fn process(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

/// Two calls that each hold a lock and wait for one that process "two" has: the second holds its own in a transaction.
fn waits_in(here: &Database) -> [Background<Result<(), Error>>; 2] {
    let inner = |here: &Database| pglock::advisory(2).using(here);
    let (session, transaction) = (here.clone(), here.clone());
    [
        background("the call ends", move || {
            let outer = pglock::advisory(1).using(&session);
            outer.run(|| inner(&session).run(|| Ok::<_, Error>(())))
        }),
        background("the call with a transaction ends", move || {
            let outer = pglock::advisory(3).using(&transaction).xact();
            outer.run(|| inner(&transaction).run(|| Ok::<_, Error>(())))
        }),
    ]
}

fn with_little_room() -> Server {
    Server::builder()
        .setting("max_connections", "20")
        .setting("max_prepared_transactions", "0")
        .setting("max_locks_per_transaction", "10")
        .start()
}

/// Takes locks until there is no room.
const FILL: &str = "SELECT pg_advisory_lock(100000 + n) FROM generate_series(1, 100000) n";

fn are_marked(db: &TestDb) -> bool {
    let locks = db.advisory_locks();
    let marks = locks.iter().filter(|lock| lock.mode == "ShareLock");
    marks.count() == 2
}

#[test]
fn a_lock_in_a_transaction_outlasts_markers_that_there_is_no_room_for() {
    let server = with_little_room();
    let db = server.create_database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let held = pglock::advisory(2).using(&two).acquire().unwrap();
    let (mut others, mut look) = (db.connect(), db.connect());
    // Views would need room in the lock table.
    let tried = "SELECT count(*) FROM pg_stat_get_activity(NULL) WHERE application_name = 'pglock: one' \
         AND query ~ 'hashtextextended|ROLLBACK TO SAVEPOINT' AND state LIKE 'idle in transaction%'";
    let is_held = "SELECT count(*) FROM pg_lock_status() WHERE locktype = 'advisory' AND objid = 3 AND granted";
    let mut count = |sql| look.query_one(sql, &[]).unwrap().get::<_, i64>(0);
    assert_eq!((count(tried), count(is_held)), (0, 0));
    let calls = waits_in(&one);
    wait_until("both hold one, and wait for 2", BOUND, || {
        db.held(1) == 1 && db.held(3) == 1 && db.waiting(2) == 1
    });
    assert!(others.batch_execute(FILL).is_err(), "the table has no end");
    wait_until("markers are tried", BOUND, || count(tried) == 1);
    assert_eq!(count(is_held), 1, "the transaction has lost its lock");
    others
        .batch_execute("SELECT pg_advisory_unlock_all()")
        .unwrap();
    // When there is room, they are placed: on the sessions of 1 and of 3.
    wait_until("the waits are marked", BOUND, || are_marked(&db));
    held.release().unwrap();
    for call in calls {
        call.finish(BOUND).unwrap();
    }
    db.wait_for_no_locks();
}

/// Else the end of one wait could be told only after that of another, which the lock's session waits for.
#[test]
fn what_is_held_on_a_session_that_may_wait_is_marked_on_another_one() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let [first, second, third] =
        [1, 2, 3].map(|id| pglock::advisory(id).using(&two).acquire().unwrap());
    let calls = [2, 3].map(|inner| {
        let here = one.clone();
        background("the call ends", move || {
            let outer = pglock::advisory(1).shared().using(&here);
            outer.run(|| {
                let inner = pglock::advisory(inner).using(&here);
                inner.run(|| Ok::<_, Error>(()))
            })
        })
    });
    wait_until("the first lock is waited for", BOUND, || db.waiting(1) == 1);
    first.release().unwrap();
    let marks = || {
        let locks = db.advisory_locks().into_iter();
        let marks = locks.filter(|lock| lock.mode == "ShareLock" && lock.key != 1.into());
        marks.map(|lock| lock.pid).collect::<Vec<_>>()
    };
    wait_until("both waits are marked", BOUND, || marks().len() == 2);
    let locks = db.advisory_locks().into_iter();
    let mut outer = locks.filter(|lock| lock.granted && lock.key == 1.into());
    let held_on = outer.next().unwrap().pid;
    assert!(!marks().contains(&held_on));
    drop((second, third));
    for call in calls {
        call.finish(BOUND).unwrap();
    }
    db.wait_for_no_locks();
}

/// Half of a table of 200 is a process's own, so one of two calls that wait is marked.
#[test]
fn a_ring_is_found_by_the_markers_that_have_room() {
    let server = with_little_room();
    let db = server.create_database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let lock = |id: i64, here: &Database| pglock::advisory(id).using(here);
    let mut kept: Vec<_> = (100..197)
        .map(|id| lock(id, &one).acquire().unwrap())
        .collect();
    let call = |outer: pglock::Advisory, inner: pglock::Advisory| {
        let (begin, signal) = std::sync::mpsc::channel();
        let call = background("the call ends", move || {
            outer.run(|| {
                signal.recv().unwrap();
                inner.run(|| Ok::<_, Error>(()))
            })
        });
        (call, begin)
    };
    let (other, begin_other) = call(lock(10, &two), lock(1, &two));
    let (in_ring, begin_in_ring) = call(lock(1, &one), lock(10, &one));
    wait_until("both hold", BOUND, || db.held(1) == 1 && db.held(10) == 1);
    begin_other.send(()).unwrap();
    wait_until("the other one waits", BOUND, || db.waiting(1) == 1);
    // Its wait begins last, so it is the one that looks.
    begin_in_ring.send(()).unwrap();
    wait_until("it waits", BOUND, || db.waiting(10) == 1);
    let (behind, begin_behind) = call(lock(2, &one), lock(10, &one));
    begin_behind.send(()).unwrap();
    let error = in_ring.finish(BOUND).unwrap_err();
    assert!(error.is_deadlock(), "{error}");
    other.finish(BOUND).unwrap();
    behind.finish(BOUND).unwrap();
    kept.clear();
    db.wait_for_no_locks();
}

#[test]
fn no_marker_stays_when_the_lock_table_is_full() {
    let server = with_little_room();
    let db = server.create_database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let held = pglock::advisory(2).using(&two).acquire().unwrap();
    let mut others = db.connect();
    let calls = waits_in(&one);
    wait_until("the waits are marked", BOUND, || are_marked(&db));
    assert!(others.batch_execute(FILL).is_err(), "the table has no end");
    held.release().unwrap();
    for call in calls {
        // Or there is no room for what it does next.
        if let Err(error) = call.finish(BOUND) {
            assert!(error.is_database(), "{error}");
        }
    }
    others
        .batch_execute("SELECT pg_advisory_unlock_all()")
        .unwrap();
    db.wait_for_no_locks();
}

#[test]
fn no_marker_stays_when_statements_are_canceled() {
    let db = database();
    let two = process(&db, "two");
    let held = pglock::advisory(2).using(&two).acquire().unwrap();
    for number in 0..6 {
        // Another handle each time: one that could not connect a moment ago does not try at once.
        let calls = waits_in(&process(&db, &format!("one {number}")));
        wait_until("the waits are marked", BOUND, || are_marked(&db));
        let stop = Arc::new(AtomicBool::new(false));
        let storm = background("the storm ends", {
            let (stop, url) = (Arc::clone(&stop), db.url().to_owned());
            move || {
                let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
                let sessions = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name LIKE 'pglock: one %'";
                // All of them in turn, over and over: what is short has to be hit too.
                let cancel = "DO $$ DECLARE pids int[] := '{PIDS}'; BEGIN FOR i IN 1..100 LOOP \
                     PERFORM pg_cancel_backend(pid) FROM unnest(pids) pid; END LOOP; END $$";
                while !stop.load(Ordering::Relaxed) {
                    let pids: Vec<i32> = client.query_one(sessions, &[]).unwrap().get(0);
                    let pids = pids
                        .iter()
                        .map(i32::to_string)
                        .collect::<Vec<_>>()
                        .join(",");
                    client
                        .batch_execute(&cancel.replace("PIDS", &pids))
                        .unwrap();
                }
            }
        });
        for call in calls {
            // Its wait is canceled, or the attempt to connect for one.
            let error = call.finish(BOUND).unwrap_err();
            assert!(error.is_database() || error.is_connect(), "{error}");
        }
        wait_until("nothing is left", BOUND, || db.advisory_locks().len() == 1);
        stop.store(true, Ordering::Relaxed);
        storm.finish(BOUND);
    }
    held.release().unwrap();
    db.wait_for_no_locks();
}
