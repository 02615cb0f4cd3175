//! One process leads; another one does when it can't.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pglock::{Database, Error, ErrorKind, Leader};
use pglock_tests::{BOUND, Proxy, TestDb, database, server, wait_until};
use tokio::runtime::{self, Runtime};

const SOON: Duration = Duration::from_millis(50);

fn executor() -> Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// As another process: sessions are shared by equal handles only.
fn process(url: &str, name: &str) -> Leader {
    let here = Database::builder(url).application_name(name).build();
    pglock::leader("scheduler")
        .using(&here.unwrap())
        .restart(SOON)
}

/// Terms that have begun, and those that are not over.
#[derive(Default)]
struct Terms {
    begun: AtomicUsize,
    running: AtomicUsize,
}

/// Counts a term for as long as its body is there.
struct Running(Arc<Terms>);

impl Running {
    fn begin(terms: &Arc<Terms>) -> Self {
        terms.begun.fetch_add(1, Ordering::SeqCst);
        let before = terms.running.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two lead");
        Self(Arc::clone(terms))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Leads without end.
async fn work(terms: Arc<Terms>) -> Result<(), Error> {
    let _running = Running::begin(&terms);
    std::future::pending().await
}

fn begun(terms: &Terms) -> usize {
    terms.begun.load(Ordering::SeqCst)
}

fn holder(db: &TestDb) -> i32 {
    db.advisory_locks()
        .iter()
        .find(|lock| lock.granted)
        .unwrap()
        .pid
}

#[test]
fn one_leads_and_a_dropped_leader_hands_over_at_once() {
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let leaders = [process(db.url(), "one"), process(db.url(), "two")];
    let lead = |leader: &Leader| {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    let first = lead(&leaders[0]);
    wait_until("the first leads", BOUND, || {
        leaders[0].is_leading().unwrap()
    });
    let second = lead(&leaders[1]);
    db.wait_for_waiters(1);
    assert!(!leaders[1].is_leading().unwrap());
    first.abort();
    wait_until("the second leads", BOUND, || {
        leaders[1].is_leading().unwrap()
    });
    assert!(!leaders[0].is_leading().unwrap());
    assert_eq!(begun(&terms), 2);
    second.abort();
    db.wait_for_no_locks();
    assert!(!leaders[1].is_leading().unwrap());
}

#[test]
fn a_leader_that_lost_the_lock_stops_and_comes_back() {
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let leader = process(db.url(), "one");
    let task = {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    for term in 1..4 {
        wait_until("it leads", BOUND, || {
            begun(&terms) == term && leader.is_leading().unwrap()
        });
        db.terminate(holder(&db));
    }
    wait_until("it leads again", BOUND, || begun(&terms) == 4);
    task.abort();
    db.wait_for_no_locks();
}

#[test]
fn a_database_that_is_away_ends_no_leader() {
    let (db, executor) = (database(), executor());
    let proxy = Proxy::start(server());
    let terms = Arc::<Terms>::default();
    let leader = process(&proxy.url(db.name()), "one");
    let task = {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    wait_until("it leads", BOUND, || leader.is_leading().unwrap());
    proxy.stop_forwarding();
    proxy.close_all();
    wait_until("it has stopped", BOUND, || {
        !leader.is_leading().unwrap() && terms.running.load(Ordering::SeqCst) == 0
    });
    proxy.resume();
    wait_until("it leads again", 2 * BOUND, || begun(&terms) == 2);
    assert!(!task.is_finished());
    task.abort();
    db.wait_for_no_locks();
}

#[test]
fn the_end_of_the_body_is_the_end() {
    let (db, executor) = (database(), executor());
    let ended = executor.block_on(process(db.url(), "one").lead(|| async { Ok::<_, Error>(7) }));
    assert_eq!(ended.unwrap(), 7);
    let failed = executor.block_on(
        process(db.url(), "one")
            .lead(|| async { Err::<(), Box<dyn std::error::Error + Send + Sync>>("no".into()) }),
    );
    assert_eq!(failed.unwrap_err().to_string(), "no");
    db.wait_for_no_locks();
}

#[test]
fn a_body_that_fails_begins_anew_where_that_is_asked_for() {
    let (db, executor) = (database(), executor());
    let began = AtomicUsize::new(0);
    let leader = process(db.url(), "one").restart_on_error(true);
    let before = Instant::now();
    let ended = executor.block_on(leader.lead(|| async {
        match began.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err::<_, Box<dyn std::error::Error + Send + Sync>>("not yet".into()),
            term => Ok(term),
        }
    }));
    assert_eq!(ended.unwrap(), 2);
    // Two pauses, each shorter by a quarter at most.
    assert!(
        before.elapsed() >= SOON.mul_f64(1.5),
        "{:?}",
        before.elapsed()
    );
    db.wait_for_no_locks();
}

#[test]
fn what_cannot_work_ends_it() {
    let executor = executor();
    let ended = executor.block_on(
        pglock::leader("")
            .using("unknown")
            .lead(|| async { Ok::<_, Error>(()) }),
    );
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Config);
    let (db, mut client) = {
        let db = database();
        let client = db.connect();
        (db, client)
    };
    let here = Database::builder(db.url()).build().unwrap();
    let held = pglock::advisory("scheduler")
        .on(&mut client)
        .acquire()
        .unwrap();
    let lock = pglock::advisory("scheduler").using(&here).timeout(SOON);
    let busy = executor.block_on(lock.lead(|| async { Ok::<_, Error>(()) }));
    assert!(busy.unwrap_err().is_busy());
    held.release().unwrap();
}
