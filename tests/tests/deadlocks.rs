//! Deadlocks of calls that hold one lock and wait for another: within a process, and across processes through sessions
//! that many locks share.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Background, Child, TestDb, background, child, database, wait_until};

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

type Nested<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

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
fn waits_for_each_others_processes_that_are_not_a_ring_go_on() {
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
fn a_long_wait_that_is_not_a_deadlock_goes_on() {
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

/// Of a ring through a caller that begins to wait when its key has been waited for, and watched, for long.
#[test]
fn a_ring_through_one_that_queues_when_the_wait_is_watched_already_ends_for_it() {
    let db = database();
    let (one, two) = (process(&db, "one"), process(&db, "two"));
    // It holds 1, and waits for 2 when 5 is held.
    let second = nested(&db, &one, 1, 2, &[1, 2, 5]);
    let other = nested(&db, &two, 2, 1, &[1, 2]);
    wait_until("the other waits for 1", BOUND, || db.waiting(1) == 1);
    let lock = pglock::advisory(2).using(&one);
    let first = background("the first gets it", move || lock.run(|| Ok::<_, Error>(())));
    let mut client = db.connect();
    let since = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 2 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND waitstart < clock_timestamp() - interval '1.5 s'";
    wait_until("the first has waited for long", BOUND, || {
        client.query_one(since, &[]).unwrap().get::<_, i64>(0) == 1
    });
    let fifth = pglock::advisory(5).on(&mut client).acquire().unwrap();
    let error = second.finish(2 * BOUND).unwrap_err();
    assert!(error.is_deadlock(), "{error}");
    other.finish(BOUND).unwrap();
    first.finish(BOUND).unwrap();
    fifth.release().unwrap();
    db.wait_for_no_locks();
}

/// How long after the first look the second one is.
const SEEN_TWICE: Duration = Duration::from_millis(100);

#[test]
fn a_ring_that_dissolves_between_two_looks_is_none() {
    // It counts only where the ring is gone in time, which a busy machine may fail to do.
    let in_time = (0..10).any(|_| {
        let db = database();
        let (outcome, gone_after) = a_ring_that_dissolves(&db);
        let is_in_time = gone_after < SEEN_TWICE;
        if is_in_time {
            outcome.unwrap();
        }
        is_in_time
    });
    assert!(in_time, "the ring was never gone in time");
}

/// What the call is told that would give up, and how long after the first look the ring was gone.
fn a_ring_that_dissolves(db: &TestDb) -> (Outcome, Duration) {
    let (one, two) = (process(db, "one"), process(db, "two"));
    // It holds 1, and waits for 2 when 5 is held.
    let call = nested(db, &one, 1, 2, &[1, 2, 5]);
    wait_until("1 is held", BOUND, || db.held(1) == 1);
    let dissolve = Arc::new(tokio::sync::Notify::new());
    let release = Arc::new(tokio::sync::Notify::new());
    let other = {
        let (dissolve, release) = (Arc::clone(&dissolve), Arc::clone(&release));
        let (outer, inner) = (pglock::advisory(2), pglock::advisory(1));
        background("the call ends that dissolves the ring", move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(outer.using(&two).run_async(async {
                tokio::select! {
                    _ = inner.using(&two).run_async(async { Ok::<_, Error>(()) }) => {}
                    () = dissolve.notified() => {}
                }
                release.notified().await;
                Ok::<_, Error>(())
            }))
        })
    };
    wait_until("the other waits for 1", BOUND, || db.waiting(1) == 1);
    let (mut client, mut clock, mut holder) = (db.connect(), db.connect(), db.connect());
    let fifth = pglock::advisory(5).on(&mut holder).acquire().unwrap();
    // The wait of the first call begins last, so it is its helper session whose look counts.
    wait_until("2 is waited for", BOUND, || db.waiting(2) == 1);
    let look = "SELECT extract(epoch FROM query_start)::float8 FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'pglock: one' \
         AND state = 'idle' AND query LIKE '%reached (pid)%'";
    let mut wait_for_look = |after: f64| {
        let mut looked = after;
        wait_until("it is looked for a ring", BOUND, || {
            let row = client.query_opt(look, &[]).unwrap();
            looked = row.map_or(after, |row| row.get::<_, f64>(0));
            looked > after
        });
        looked
    };
    let looked = wait_for_look(0.0);
    dissolve.notify_one();
    wait_until("nobody waits for 1", BOUND, || db.waiting(1) == 0);
    let now = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let gone: f64 = clock.query_one(now, &[]).unwrap().get(0);
    // Until then the call waits for 2, which is no ring any more.
    wait_for_look(looked);
    release.notify_one();
    let outcome = call.finish(2 * BOUND);
    other.finish(BOUND).unwrap();
    fifth.release().unwrap();
    db.wait_for_no_locks();
    let gone_after = Duration::from_secs_f64((gone - looked).max(0.0));
    (outcome, gone_after)
}

/// How many locks two processes take in all.
const ACQUIRES: usize = if cfg!(debug_assertions) {
    30_000
} else {
    100_000
};

#[test]
fn nobody_who_takes_locks_in_one_order_is_told_of_a_deadlock() {
    if child::role().is_some() {
        return acquire_in_order();
    }
    let db = database();
    let mut processes = ["1", "2"].map(|seed| {
        let child = Child::of(
            "nobody_who_takes_locks_in_one_order_is_told_of_a_deadlock",
            "in order",
        );
        child
            .argument("URL", db.url())
            .argument("SEED", seed)
            .start()
    });
    for process in &mut processes {
        process.wait_for_line("acquired", 20 * BOUND);
        process.finish(BOUND);
    }
    db.wait_for_no_locks();
}

/// In a child: half of the locks, by tasks each of which takes some keys of twenty in ascending order.
#[tokio::main]
async fn acquire_in_order() {
    let here = Database::builder(child::argument("URL")).build().unwrap();
    let mut rng = fastrand::Rng::with_seed(child::argument("SEED").parse().unwrap());
    let left = Arc::new(AtomicUsize::new(ACQUIRES / 2));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (here, left, mut rng) = (here.clone(), Arc::clone(&left), rng.fork());
        tasks.spawn(async move {
            loop {
                let depth = rng.usize(2..=4);
                let mut keys = rng.choose_multiple(0..20_i64, depth);
                keys.sort_unstable();
                let enough = |left: usize| left.checked_sub(depth);
                if left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough)
                    .is_err()
                {
                    break;
                }
                acquire_each(&here, &keys).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    child::say("acquired");
    child::wait_for_end();
}

/// One inside the other.
fn acquire_each<'a>(here: &'a Database, keys: &'a [i64]) -> Nested<'a> {
    Box::pin(async move {
        let Some((first, others)) = keys.split_first() else {
            return Ok(());
        };
        let lock = pglock::advisory(*first).using(here);
        lock.run_async(acquire_each(here, others)).await
    })
}
