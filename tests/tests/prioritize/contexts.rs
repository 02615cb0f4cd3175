//! Sections inside and after others, and the contexts they run in: executors, forks, parallel queries.

use std::future::Future as _;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use fork::Fork;
use pglock::{Blocked, BlockerAction, Cancel, Error, ErrorKind, Spared, Terminate};
use pglock_tests::child::{self, Child};
use pglock_tests::{BOUND, database, server, wait_until};
use tokio_postgres::NoTls;

use crate::side_effects::Do;
use crate::{Blocker, INTERVAL, ONE_POLL, here, is_alive, pid_of, prioritize};

#[test]
fn a_section_within_one_on_the_same_connection() {
    let db = database();
    let mut idler = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let mut outer = prioritize(&db)
        .side_effect(Terminate::new().never_application("blocker"))
        .timeout(20 * INTERVAL)
        .on(&mut client)
        .unwrap();
    let mut inner = prioritize(&db)
        .side_effect(Cancel)
        .timeout(5 * INTERVAL)
        .on(&mut outer)
        .unwrap();
    inner
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    let spared = inner.finish().unwrap();
    assert_eq!(
        spared.blockers()[0].action,
        BlockerAction::Spared(Spared::Idle)
    );
    let spared = outer.report().unwrap();
    assert_eq!(
        spared.blockers()[0].action,
        BlockerAction::Spared(Spared::Application)
    );
    let timeout: String = outer.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(timeout, "2s");
    assert!(idler.is_alive());
    // The outer one goes on.
    let other = Blocker::named(&db, "other", "SELECT pg_advisory_lock(2)");
    outer.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    assert_eq!(outer.finish().unwrap().signaled(), [other.pid]);
}

#[test]
fn sections_one_after_the_other_have_reports_of_their_own() {
    let db = database();
    let mut client = db.connect();
    for key in [1, 2, 3] {
        let blocker = Blocker::new(&db, &format!("SELECT pg_advisory_lock({key})"));
        let mut section = prioritize(&db).on(&mut client).unwrap();
        section
            .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
            .unwrap();
        assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
    }
}

#[test]
fn on_an_executor_that_is_not_a_runtime() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (mut client, connection) = runtime
        .block_on(tokio_postgres::connect(db.url(), NoTls))
        .unwrap();
    runtime.spawn(connection);
    let report = pollster::block_on(async {
        let section = prioritize(&db).on_async(&mut client).await.unwrap();
        section
            .batch_execute("SELECT pg_advisory_lock(1)")
            .await
            .unwrap();
        section.finish().await.unwrap()
    });
    assert_eq!(report.signaled(), [blocker.pid]);
}

#[tokio::test]
async fn a_finish_that_is_dropped_has_ended_the_section() {
    let db = database();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("SET lock_timeout = '500ms'")
        .await
        .unwrap();
    let section = prioritize(&db)
        .timeout(BOUND)
        .on_async(&mut client)
        .await
        .unwrap();
    let polled_once = pin!(section.finish())
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready();
    assert!(!polled_once);
    client
        .batch_execute("SELECT pg_advisory_lock(1)")
        .await
        .unwrap_err();
    assert!(blocker.is_alive());
    let row = client.query_one("SHOW lock_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "500ms");
}

#[test]
fn a_side_effect_may_use_pglock_itself() {
    let db = database();
    let database = here(&db);
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (url, using) = (db.url().to_owned(), database.clone());
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        // One host at a time.
        let guard = pglock::advisory("pager")
            .using(&using)
            .timeout(BOUND)
            .acquire()?;
        let mut client =
            postgres::Client::connect(&url, postgres::NoTls).map_err(Error::side_effect)?;
        let section = pglock::prioritize().using(&using).on(&mut client)?;
        let signaled = blocked.terminate()?;
        section.finish()?;
        guard.release()?;
        Ok(signaled)
    });
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
}

#[test]
fn a_wait_within_in_another_database_is_one_of_the_section() {
    let (db, other) = (database(), database());
    let blocker = Blocker::new(&other, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.run(|_| {
        let lock = pglock::advisory(1).using(here(&other)).timeout(BOUND);
        lock.acquire().unwrap().release().unwrap();
    });
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
}

#[test]
fn the_workers_of_a_parallel_query_block_as_one() {
    let db = database();
    db.execute(
        "CREATE TABLE orders (id int); INSERT INTO orders SELECT generate_series(1, 1000); ANALYZE orders; \
         CREATE FUNCTION slowly(int) RETURNS int PARALLEL SAFE LANGUAGE plpgsql \
         AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN $1; END $$",
    );
    let mut leader = db.connect_as("leader");
    let pid = pid_of(&mut leader);
    let scan = std::thread::spawn(move || {
        leader.batch_execute(
            "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; \
             SET max_parallel_workers_per_gather = 2; SELECT max(slowly(id)) FROM orders",
        )
    });
    let workers = || {
        let mut client = db.connect();
        let workers = client.query(
            "SELECT pid FROM pg_stat_activity WHERE leader_pid = $1",
            &[&pid],
        );
        workers.unwrap().len()
    };
    wait_until("there are workers", BOUND, || workers() > 0);
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section
        .batch_execute("BEGIN; LOCK TABLE orders; COMMIT")
        .unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [pid]);
    scan.join().unwrap().unwrap_err();
}

#[test]
fn a_session_that_waits_under_a_filter_of_what_it_waits_for() {
    // A session ahead in the queue blocks, whatever it waits for itself.
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let blocker = Blocker::new(&db, "BEGIN; SELECT FROM orders");
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(Terminate::new().filter("rel_name=orders").unwrap())
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("BEGIN; LOCK TABLE orders; COMMIT")
        .unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
}

#[test]
fn the_end_waits_for_a_signal_that_is_under_way() {
    let server = pglock_tests::Server::start();
    let db = server.create_database();
    let proxy = pglock_tests::Proxy::start(&server);
    let watcher = pglock::Database::builder(proxy.url(db.name()))
        .build()
        .unwrap();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (called, was_called) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        let _ = called.send(());
        let _ = may_go.lock().unwrap().recv_timeout(3 * BOUND);
        blocked.terminate()
    });
    std::thread::scope(|scope| {
        let section = scope.spawn(|| {
            let mut client = db.connect();
            let mut section = pglock::prioritize()
                .interval(ONE_POLL)
                .periodic(false)
                .side_effect(side_effect)
                .using(&watcher)
                .on(&mut client)
                .unwrap();
            section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
            section.finish().unwrap()
        });
        was_called.recv_timeout(BOUND).unwrap();
        proxy.stop_answers();
        go.send(()).unwrap();
        wait_until("it is ended", BOUND, || !is_alive(&db, blocker.pid));
        wait_until("the section has the lock", BOUND, || db.held(1) == 1);
        // Longer than its end would wait for the side effect.
        let began = Instant::now();
        wait_until("the end waits", BOUND, || {
            began.elapsed() > Duration::from_millis(1500)
        });
        proxy.resume();
        assert_eq!(section.join().unwrap().signaled(), [blocker.pid]);
    });
}

/// Forks within a section; in a process of its own, since the child gets only the thread that forks.
#[test]
fn after_a_fork_the_child_has_no_section() {
    if child::role().is_some() {
        return fork_within_a_section();
    }
    let db = server().create_database();
    let mut forking = Child::of("contexts::after_a_fork_the_child_has_no_section", "forking")
        .argument("url", db.url())
        .start();
    forking.finish(BOUND);
}

fn fork_within_a_section() {
    let url = child::argument("url");
    let here = pglock::Database::builder(&url).build().unwrap();
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let mut section = pglock::prioritize()
        .interval(Duration::from_millis(50))
        .timeout(Duration::from_secs(9))
        .using(&here)
        .on(&mut client)
        .unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            let errors = [section.report().unwrap_err(), section.finish().unwrap_err()];
            let is_reported = errors.iter().all(|error| {
                error.kind() == ErrorKind::Config && error.to_string().contains("fork")
            });
            // Not by returning, which would use what it has copied of the parent's.
            std::process::exit(i32::from(!is_reported));
        }
        Fork::Parent(pid) => {
            assert_eq!(fork::waitpid(pid).unwrap(), 0);
            // The child has said nothing on it.
            let timeout: String = section.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
            assert_eq!(timeout, "9s");
            section.finish().unwrap();
        }
    }
}
