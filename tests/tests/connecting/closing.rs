//! Sessions that nobody uses are closed at once where that is asked for.

use std::time::{Duration, Instant};

use pglock::{Database, advisory};
use pglock_tests::{
    BOUND, Child, OWN, background, child, database, server as shared_server, wait_until,
};

use crate::built;

#[test]
fn a_database_can_be_dropped_as_soon_as_its_sessions_are_closed() {
    let db = database();
    let mut admin = db.connect();
    for round in 0..10 {
        let name = format!("dropped_{round}_{}", std::process::id());
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let here = built(&shared_server().url(&name));
        // By the caller's own thread, by pglock's, and in a transaction.
        let lent = advisory("lent").using(&here).acquire().unwrap();
        let own = advisory("own").using(&here).dedicated().acquire().unwrap();
        let xact = advisory("xact").using(&here).xact().acquire().unwrap();
        lent.release().unwrap();
        own.release().unwrap();
        drop(xact);
        here.close();
        // Postgres itself would wait for them for a while.
        let sessions =
            "SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'";
        assert_eq!(admin.query(sessions, &[&name]).unwrap().len(), 0);
        admin
            .batch_execute(&format!("DROP DATABASE {name}"))
            .unwrap();
    }
}

#[tokio::test]
async fn sessions_in_use_stay_and_locks_come_back() {
    let db = database();
    let here = built(db.url());
    let guard = advisory(1).using(&here).acquire_async().await.unwrap();
    let xact = advisory("done")
        .using(&here)
        .xact()
        .acquire_async()
        .await
        .unwrap();
    let other = Database::builder(db.url())
        .application_name("other")
        .build()
        .unwrap();
    let elsewhere = advisory(2).using(&other).acquire_async().await.unwrap();
    let awaited = advisory(2).using(&here);
    let waiter = tokio::spawn(async move { awaited.acquire_async().await });
    while db.waiting(2) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    xact.release_async().await.unwrap();
    here.close_async().await;
    assert!(guard.check().is_ok());
    assert_eq!(db.held(1), 1);
    elsewhere.release_async().await.unwrap();
    let later = waiter.await.unwrap().unwrap();
    later.release_async().await.unwrap();
    guard.release_async().await.unwrap();
    here.close_async().await;
    assert_eq!(db.backends_named(OWN), [] as [i32; 0]);
    let again = advisory(1).using(&here).acquire_async().await.unwrap();
    again.release_async().await.unwrap();
}

#[test]
fn nobody_who_comes_meanwhile_is_hurt() {
    let db = database();
    let here = built(db.url());
    let until = Instant::now() + Duration::from_secs(2);
    let callers: Vec<_> = (0..4)
        .map(|nr| {
            let here = here.clone();
            background("it has its locks", move || {
                while Instant::now() < until {
                    let lock = advisory(format!("lock {}", nr / 2)).using(&here);
                    let guard = lock.acquire().unwrap();
                    guard.check().unwrap();
                    guard.release().unwrap();
                }
            })
        })
        .collect();
    while Instant::now() < until {
        here.close();
    }
    for caller in callers {
        caller.finish(BOUND);
    }
    here.close();
    assert_eq!(db.backends_named(OWN), [] as [i32; 0]);
}

#[test]
fn idle_sessions_are_closed_after_the_time_that_was_set() {
    let db = database();
    let here = Database::builder(db.url())
        .idle_timeout(Duration::ZERO)
        .build()
        .unwrap();
    let longer = Database::builder(db.url())
        .application_name("longer")
        .build()
        .unwrap();
    for database in [&here, &longer] {
        advisory("x")
            .using(database)
            .acquire()
            .unwrap()
            .release()
            .unwrap();
    }
    wait_until("it is closed", BOUND, || db.backends_named(OWN).is_empty());
    assert_eq!(db.backends_named("pglock: longer").len(), 1);
}

#[test]
fn at_the_end_of_a_program_all_are_closed_after_what_is_kept() {
    if child::role().is_some() {
        let here = built(&child::argument("URL"));
        let lock = advisory("kept")
            .using(&here)
            .hold_at_least(Duration::from_millis(300));
        lock.run(|| Ok::<_, pglock::Error>(())).unwrap();
        let began = Instant::now();
        pglock::drain_and_close();
        assert!(
            began.elapsed() > Duration::from_millis(200),
            "{:?}",
            began.elapsed()
        );
        child::say("closed");
        return child::wait_for_end();
    }
    let db = database();
    let test = "closing::at_the_end_of_a_program_all_are_closed_after_what_is_kept";
    let mut program = Child::of(test, "program").argument("URL", db.url()).start();
    program.wait_for_line("closed", BOUND);
    assert_eq!(db.backends_named(OWN), [] as [i32; 0]);
    program.finish(BOUND);
}
