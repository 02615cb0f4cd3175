//! Deadlocks of calls that hold one lock and wait for another: within a process, and across processes through sessions
//! that many locks share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Background, TestDb, background, database, wait_until};

/// How long it may take until a deadlock across processes is noticed, with room for a busy machine.
const NOTICED: Duration = Duration::from_secs(6);

/// The advisory locks that are held in this database.
const HELD_HERE: &str = "pg_locks WHERE locktype = 'advisory' AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Handles that differ share nothing, like processes.
fn process(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

type Outcome = Result<(), Error>;

/// A call that holds `outer` and waits for `inner`, once the locks of `all` are held.
fn nested(
    db: &TestDb,
    here: &Database,
    outer: i64,
    inner: i64,
    all: &'static [i64],
) -> Background<Outcome> {
    let (url, here) = (db.url().to_owned(), here.clone());
    background("the calls end", move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        let held =
            format!("SELECT count(DISTINCT objid) FROM {HELD_HERE} AND objid::bigint = ANY($1)");
        pglock::advisory(outer).using(&here).run(|| {
            wait_until("all hold their first", BOUND, || {
                let count: i64 = client.query_one(&held, &[&all]).unwrap().get(0);
                usize::try_from(count).unwrap() == all.len()
            });
            pglock::advisory(inner)
                .using(&here)
                .run(|| Ok::<_, Error>(()))
        })
    })
}

fn assert_one_gives_up(outcomes: &[Outcome]) {
    let deadlocks = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_err_and(Error::is_deadlock));
    assert_eq!(deadlocks.count(), 1, "{outcomes:?}");
    let ok = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(ok, outcomes.len() - 1, "{outcomes:?}");
}

#[test]
fn opposite_order_in_two_processes_ends_for_one_within_seconds() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let began = Instant::now();
    let calls = [
        nested(&db, &one, 1, 2, &[1, 2]),
        nested(&db, &two, 2, 1, &[1, 2]),
    ];
    let outcomes = calls.map(|call| call.finish(2 * BOUND));
    assert_one_gives_up(&outcomes);
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    db.wait_for_no_locks();
}

#[test]
fn a_ring_of_three_processes_ends_for_one() {
    let db = database();
    let here: Vec<Database> = ["one", "two", "three"]
        .map(|name| process(&db, name))
        .into();
    let calls = [
        nested(&db, &here[0], 1, 2, &[1, 2, 3]),
        nested(&db, &here[1], 2, 3, &[1, 2, 3]),
        nested(&db, &here[2], 3, 1, &[1, 2, 3]),
    ];
    let outcomes = calls.map(|call| call.finish(2 * BOUND));
    assert_one_gives_up(&outcomes);
    db.wait_for_no_locks();
}

/// The ring goes through a call that waits behind another of its own process, which holds nothing.
#[test]
fn a_ring_through_the_second_in_a_queue_ends_for_the_one_that_is_in_it() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    // It holds 1, and waits for 2 when 5 is held.
    let second = nested(&db, &one, 1, 2, &[1, 2, 5]);
    let other = nested(&db, &two, 2, 1, &[1, 2]);
    wait_until("the other waits for 1", BOUND, || db.waiting(1) == 1);
    let lock = pglock::advisory(2).using(&one);
    let first = background("the first gets it", move || lock.run(|| Ok::<_, Error>(())));
    // This wait began last, so it is its turn to give up.
    wait_until("the first waits for 2", BOUND, || db.waiting(2) == 1);
    let mut client = db.connect();
    let fifth = pglock::advisory(5).on(&mut client).acquire().unwrap();
    let error = second.finish(2 * BOUND).unwrap_err();
    assert!(error.is_deadlock(), "{error}");
    other.finish(BOUND).unwrap();
    first.finish(BOUND).unwrap();
    fifth.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn waits_for_each_others_processes_that_are_no_ring_go_on() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let mut blocker = db.connect();
    let ninth = pglock::advisory(9).on(&mut blocker).acquire().unwrap();
    let lock = pglock::advisory(2).using(&one);
    // Process two holds 2; the first of process one waits for it without a lock of its own.
    let other = nested(&db, &two, 2, 9, &[2]);
    wait_until("the other waits for 9", BOUND, || db.waiting(9) == 1);
    let first = background("the first gets it", move || lock.run(|| Ok::<_, Error>(())));
    wait_until("the first waits for 2", BOUND, || db.waiting(2) == 1);
    let third = {
        let two = two.clone();
        background("the third ends", move || {
            pglock::advisory(3)
                .using(&two)
                .run(|| pglock::advisory(1).using(&two).run(|| Ok::<_, Error>(())))
        })
    };
    third.finish(BOUND).unwrap();
    let second = nested(&db, &one, 1, 2, &[1, 2]);
    wait_until("1 is held", BOUND, || db.held(1) == 1);
    // Nothing is in a ring yet: however long it is looked, nobody gives up.
    let closes = {
        let two = two.clone();
        background("the ring is closed", move || {
            pglock::advisory(1)
                .using(&two)
                .timeout(Duration::from_millis(2500))
                .acquire()
        })
    };
    assert!(closes.finish(BOUND).unwrap_err().is_busy());
    ninth.release().unwrap();
    other.finish(BOUND).unwrap();
    first.finish(BOUND).unwrap();
    second.finish(BOUND).unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_long_wait_that_is_no_deadlock_goes_on() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    let guard = pglock::advisory(2).using(&two).acquire().unwrap();
    // The same shared session holds what others wait for, and nobody in it waits for them.
    let bystander = pglock::advisory(1).using(&two).acquire().unwrap();
    let call = nested(&db, &one, 3, 2, &[1, 2, 3]);
    let other = nested(&db, &two, 4, 3, &[1, 2, 3]);
    // Markers are there.
    wait_until("the waits are marked", BOUND, || {
        db.advisory_locks().len() >= 8
    });
    // What is tested is that several looks find nothing.
    std::thread::sleep(Duration::from_millis(2500));
    drop((guard, bystander));
    call.finish(BOUND).unwrap();
    other.finish(BOUND).unwrap();
    db.wait_for_no_locks();
}

#[test]
fn siblings_in_a_ring_within_the_process_get_the_error_at_once() {
    let db = database();
    let here = process(&db, "here");
    let both_hold_their_first = Arc::new(tokio::sync::Barrier::new(2));
    let call = |outer: i64, inner: i64| {
        let (here, barrier) = (here.clone(), Arc::clone(&both_hold_their_first));
        async move {
            let outer = pglock::advisory(outer).using(&here);
            outer
                .run_async(async {
                    barrier.wait().await;
                    let inner = pglock::advisory(inner).using(&here);
                    inner.run_async(async { Ok::<_, Error>(()) }).await
                })
                .await
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let began = Instant::now();
    let (one, two) = runtime.block_on(async { tokio::join!(call(1, 2), call(2, 1)) });
    assert_one_gives_up(&[one, two]);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    db.wait_for_no_locks();
}

#[test]
fn transaction_locks_in_a_ring_within_the_process_get_the_error_at_once() {
    let db = database();
    let here = process(&db, "here");
    let call = |outer: i64, inner: i64| {
        let (db_url, here) = (db.url().to_owned(), here.clone());
        background("the calls end", move || {
            let mut client = postgres::Client::connect(&db_url, postgres::NoTls).unwrap();
            pglock::advisory(outer).using(&here).xact().run(|| {
                wait_until("both hold their first", BOUND, || {
                    let held = format!("SELECT count(*) FROM {HELD_HERE}");
                    client.query_one(&held, &[]).unwrap().get::<_, i64>(0) == 2
                });
                pglock::advisory(inner)
                    .using(&here)
                    .xact()
                    .run(|| Ok::<_, Error>(()))
            })
        })
    };
    let calls = [call(1, 2), call(2, 1)];
    let outcomes = calls.map(|call| call.finish(BOUND));
    assert_one_gives_up(&outcomes);
    db.wait_for_no_locks();
}
