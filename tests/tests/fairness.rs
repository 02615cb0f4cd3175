//! Who waits for a lock gets it, however many others want it: in another process, or shared without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Child, TestDb, child, database};
use tokio::task::JoinSet;

const TASKS: usize = 32;

/// For how long two processes want the same lock.
const HAMMERED: Duration = Duration::from_secs(4);

/// What each of two gets, in percent. On a machine that does nothing else it is 45 to 55; one that is busy shares out its
/// time less evenly than Postgres the lock.
const FAIR: std::ops::RangeInclusive<u64> = 25..=75;

/// The longest wait on a busy machine, in microseconds. Otherwise it is less than a hundred times the median.
const LONGEST: u64 = 2_000_000;

/// How long each has it: longer than it takes to queue for it again. A process that has lost it is not in the queue until
/// then, and one that the machine gives no time to is late.
const HELD: Duration = Duration::from_millis(3);

fn handle(url: &str, name: &str) -> Database {
    let builder = Database::builder(url).application_name(name.to_owned());
    builder.build().unwrap()
}

#[test]
fn of_two_processes_that_hammer_one_lock_each_gets_its_half_and_nobody_waits_long() {
    const TEST: &str =
        "of_two_processes_that_hammer_one_lock_each_gets_its_half_and_nobody_waits_long";
    if child::role().is_some() {
        return hammer();
    }
    let db = database();
    let mut processes = ["one", "two"].map(|name| {
        let child = Child::of(TEST, "hammer").argument("URL", db.url());
        child.argument("NAME", name).start()
    });
    for process in &mut processes {
        process.wait_for_line("ready", BOUND);
    }
    for process in &mut processes {
        process.send_line("go");
    }
    let told = processes.map(|mut process| {
        let told = process.wait_for_line("waited", HAMMERED + BOUND);
        process.finish(BOUND);
        let numbers = told.split(' ').map(|number| number.parse().unwrap());
        <[u64; 3]>::try_from(numbers.collect::<Vec<_>>()).unwrap()
    });
    let all: u64 = told.iter().map(|[grants, ..]| grants).sum();
    assert!(all > 200, "{told:?}");
    for [grants, median, longest] in told {
        let percent = grants * 100 / all;
        assert!(FAIR.contains(&percent), "{told:?}");
        assert!(longest <= (100 * median).max(LONGEST), "{told:?}");
    }
    db.wait_for_no_locks();
}

/// In a child: says how often it got the lock, and the median and the longest of its waits in microseconds.
#[tokio::main]
async fn hammer() {
    let here = handle(&child::argument("URL"), &child::argument("NAME"));
    // Its session is open, so that both begin at the same time.
    let warm = pglock::advisory(child::argument("NAME")).using(&here);
    warm.run_async(async { Ok::<_, Error>(()) }).await.unwrap();
    child::say("ready");
    child::hear().expect("the parent is gone");
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let lock = pglock::advisory("hammered").using(&here);
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while began.elapsed() < HAMMERED {
                let asked = Instant::now();
                let body = async {
                    // What is granted when the other process may have stopped already is not counted.
                    if began.elapsed() < HAMMERED {
                        waits.push(asked.elapsed());
                    }
                    tokio::time::sleep(HELD).await;
                    Ok::<_, Error>(())
                };
                lock.clone().run_async(body).await.unwrap();
            }
            waits
        });
    }
    let mut waits = tasks.join_all().await.concat();
    waits.sort();
    let nth = |nth: usize| waits.get(nth).map_or(0, Duration::as_micros);
    let (median, longest) = (nth(waits.len() / 2), nth(waits.len().saturating_sub(1)));
    child::say(&format!("waited {} {median} {longest}", waits.len()));
    child::wait_for_end();
}

/// For how long each of those holds the lock who share it.
const SHARED: Duration = Duration::from_millis(40);

/// So many that some of them always hold it.
const READERS: u32 = 16;

/// What a writer may wait for longer than the longest hold, on a busy machine: on an idle one it is a few milliseconds.
const LATE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_writer_gets_in_between_shared_holders_of_another_process_that_come_without_end() {
    let db = database();
    let (readers, writer) = (handle(db.url(), "readers"), handle(db.url(), "writer"));
    let stop = Arc::new(AtomicBool::new(false));
    let reads = read_without_end(&readers, &stop);
    wait_until_shared(&db).await;
    for _ in 0..10 {
        let began = Instant::now();
        // In vain it would wait for much longer.
        let lock = pglock::advisory("read").using(&writer).timeout(BOUND);
        let written = lock.run_async(async { Ok::<_, Error>(began.elapsed()) });
        let waited = written.await.unwrap();
        assert!(waited < SHARED + LATE, "{waited:?}");
        wait_until_shared(&db).await;
    }
    stop.store(true, Ordering::Relaxed);
    let reads: usize = reads.join_all().await.into_iter().sum();
    assert!(reads > 10, "{reads}");
    db.wait_for_no_locks();
}

/// Begins to hold a lock shared, one task after the other, so that it is never free by itself.
fn read_without_end(readers: &Database, stop: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut reads = JoinSet::new();
    for number in 0..READERS {
        let lock = pglock::advisory("read").using(readers).shared();
        let stop = Arc::clone(stop);
        reads.spawn(async move {
            tokio::time::sleep(SHARED / READERS * number).await;
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) {
                let body = async {
                    tokio::time::sleep(SHARED).await;
                    Ok::<_, Error>(())
                };
                lock.clone().run_async(body).await.unwrap();
                reads += 1;
            }
            reads
        });
    }
    reads
}

async fn wait_until_shared(db: &TestDb) {
    let key = pglock::advisory_id("read");
    pglock_tests::wait_until_async("it is held shared", BOUND, || {
        let locks = db.advisory_locks();
        locks
            .iter()
            .any(|lock| lock.key == key.into() && lock.granted && lock.mode == "ShareLock")
    })
    .await;
}
