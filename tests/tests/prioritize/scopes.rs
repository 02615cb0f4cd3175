//! Where a section begins and ends.

use std::time::Duration;

use pglock::{Cancel, Error, Escalate};
use pglock_tests::{BOUND, database, wait_until};
use tokio_postgres::NoTls;

use crate::{Blocker, INTERVAL, here, prioritize};

fn lock_timeout(client: &mut postgres::Client) -> String {
    client.query_one("SHOW lock_timeout", &[]).unwrap().get(0)
}

#[test]
fn the_timeout_is_for_the_section_and_put_back_after_it() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SET lock_timeout = '7s'").unwrap();
    let mut section = prioritize(&db)
        .timeout(Duration::from_secs(3))
        .on(&mut client)
        .unwrap();
    assert_eq!(lock_timeout(&mut section), "3s");
    section.finish().unwrap();
    assert_eq!(lock_timeout(&mut client), "7s");
    let mut section = prioritize(&db).on(&mut client).unwrap();
    assert_eq!(lock_timeout(&mut section), "7s");
    drop(section);
    let mut section = prioritize(&db).timeout(None).on(&mut client).unwrap();
    assert_eq!(lock_timeout(&mut section), "0");
    section.batch_execute("SELECT 1 / 0").unwrap_err();
    drop(section);
    assert_eq!(lock_timeout(&mut client), "7s");
}

#[test]
fn what_waits_after_the_end_is_not_prioritized() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let ends = [
        |section: pglock::PrioritizeScope<'_, postgres::Client>| drop(section.finish().unwrap()),
        |section: pglock::PrioritizeScope<'_, postgres::Client>| drop(section),
    ];
    for end in ends {
        end(prioritize(&db).on(&mut client).unwrap());
        client.batch_execute("SET lock_timeout = '500ms'").unwrap();
        client
            .batch_execute("SELECT pg_advisory_lock(1)")
            .unwrap_err();
    }
    let mut blocker = blocker;
    assert!(blocker.is_alive());
}

#[test]
fn one_poll_only_when_it_is_not_periodic() {
    let db = database();
    let mut client = db.connect();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut section = prioritize(&db)
        .periodic(false)
        .timeout(8 * INTERVAL)
        .on(&mut client)
        .unwrap();
    // The poll is over before the wait begins.
    section.batch_execute("SELECT pg_sleep(0.3)").unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert!(section.finish().unwrap().blockers().is_empty());
    assert!(blocker.is_alive());
}

#[test]
fn in_a_transaction_and_inside_other_scopes() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let blocker = Blocker::new(&db, "BEGIN; LOCK TABLE orders IN SHARE MODE");
    let mut client = db.connect();
    let mut transaction = client.transaction().unwrap();
    let mut patient = pglock::timeout(Duration::from_secs(20))
        .on(&mut transaction)
        .unwrap();
    let mut section = prioritize(&db).on(&mut patient).unwrap();
    pglock::tables(["orders"]).lock(&mut section).unwrap();
    let report = section.finish().unwrap();
    assert_eq!(report.signaled(), [blocker.pid]);
    patient.restore().unwrap();
    transaction.commit().unwrap();

    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("SELECT 1 / 0").unwrap_err();
    let error = prioritize(&db).on(&mut transaction).unwrap_err();
    assert!(error.is_config(), "{error}");
}

#[test]
fn reading_its_own_backend_keeps_no_snapshot_in_a_transaction() {
    let db = database();
    let mut client = db.connect();
    let mut transaction = client.transaction().unwrap();
    let section = prioritize(&db).on(&mut transaction).unwrap();
    section.finish().unwrap();
    let _other = db.connect_as("came later");
    let seen = transaction
        .query(
            "SELECT FROM pg_stat_activity WHERE application_name = 'came later'",
            &[],
        )
        .unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn mistakes_are_errors_at_once() {
    let db = database();
    let mut client = db.connect();
    let below = prioritize(&db).timeout(INTERVAL / 2).on(&mut client);
    let error = below.unwrap_err();
    assert!(
        error.is_config()
            && error
                .to_string()
                .contains("50 ms is below the interval of 100 ms"),
        "{error}"
    );
    let zero = prioritize(&db).timeout(Duration::ZERO).on(&mut client);
    assert!(zero.unwrap_err().is_config());
    let without = prioritize(&db).interval(Duration::ZERO).on(&mut client);
    assert!(without.unwrap_err().is_config());
    let nowhere = prioritize(&db).using("nowhere").on(&mut client);
    let error = nowhere.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    let never = prioritize(&db).interval(Duration::MAX).on(&mut client);
    never.unwrap().finish().unwrap();
}

/// The session that it canceled was never terminated.
#[tokio::test]
async fn a_timeout_that_leaves_no_time_to_escalate_is_refused() {
    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let second = Duration::from_secs(1);
    let section = |side_effect: Escalate, timeout| {
        let section = prioritize(&db).side_effect(side_effect);
        section.interval(second).timeout(timeout)
    };
    for (side_effect, timeout) in [
        (Escalate, Duration::from_millis(5999)),
        (Escalate::new().after(9 * second), 9 * second),
        (Escalate::new().after(Duration::MAX), 9 * second),
    ] {
        let section = section(side_effect, timeout).on_async(&mut client).await;
        let error = section.unwrap_err();
        let text = error.to_string();
        assert!(error.is_config() && text.contains("`Escalate`"), "{text}");
    }
    for (side_effect, timeout) in [
        (Escalate, 6 * second),
        (Escalate::new().after(second), 2 * second),
    ] {
        let section = section(side_effect, timeout).on_async(&mut client).await;
        section.unwrap().finish().await.unwrap();
    }
}

#[tokio::test]
async fn an_async_section() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("SET lock_timeout = '7s'")
        .await
        .unwrap();
    let section = prioritize(&db)
        .timeout(Duration::from_secs(20))
        .on_async(&mut client)
        .await
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .await
        .unwrap();
    assert_eq!(section.report().await.unwrap().signaled(), [blocker.pid]);
    assert_eq!(section.finish().await.unwrap().signaled(), [blocker.pid]);
    let row = client.query_one("SHOW lock_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "7s");
}

#[tokio::test]
async fn an_async_section_that_is_dropped_watches_no_more() {
    let db = database();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let section = prioritize(&db)
        .timeout(Duration::from_secs(20))
        .on_async(&mut client)
        .await
        .unwrap();
    drop(section);
    client
        .batch_execute("SET lock_timeout = '500ms'")
        .await
        .unwrap();
    client
        .batch_execute("SELECT pg_advisory_lock(1)")
        .await
        .unwrap_err();
    assert!(blocker.is_alive());
}

#[test]
fn waits_on_sessions_of_pglocks_own_count_within_run() {
    let db = database();
    let mut client = db.connect();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.run(|_| {
        let lock = pglock::advisory(1).using(here(&db)).timeout(BOUND);
        lock.run(|| Ok::<(), Error>(())).unwrap();
    });
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
    blocker.was_terminated();

    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(2)");
    let section = prioritize(&db).side_effect(Cancel).on(&mut client).unwrap();
    let lock = pglock::advisory(2).using(here(&db));
    assert!(lock.timeout(5 * INTERVAL).acquire().unwrap_err().is_busy());
    assert!(section.finish().unwrap().blockers().is_empty());
    assert!(blocker.is_alive());
}

#[tokio::test]
async fn waits_on_sessions_of_pglocks_own_count_within_an_async_run() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut section = prioritize(&db).on_async(&mut client).await.unwrap();
    let database = here(&db);
    section
        .run(async |client| {
            let lock = pglock::advisory(1).using(&database).timeout(BOUND);
            let guard = lock.acquire_async().await.unwrap();
            client.batch_execute("SELECT 1").await.unwrap();
            guard.release_async().await.unwrap();
        })
        .await;
    assert_eq!(section.finish().await.unwrap().signaled(), [blocker.pid]);
}

#[test]
fn one_of_two_prioritized_waits_goes_first_to_the_server() {
    // A call of this process waits for the key already; the prioritized one must not queue up behind it here.
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let database = here(&db);
    let waiter = std::thread::spawn({
        let lock = pglock::advisory(1).using(&database).timeout(BOUND);
        move || lock.run(|| Ok::<(), Error>(())).unwrap()
    });
    wait_until("it waits", BOUND, || db.waiting(1) == 1);
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.run(|_| {
        pglock::advisory(1)
            .using(&database)
            .timeout(BOUND)
            .run(|| Ok::<(), Error>(()))
            .unwrap();
    });
    assert!(section.finish().unwrap().signaled().contains(&blocker.pid));
    waiter.join().unwrap();
}
