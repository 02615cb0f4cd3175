//! A dropped wait cancels nothing but itself.

use std::time::Duration;

use pglock_tests::{Proxy, database, server};

use super::{Ask, Begin, Commit, Driver, DroppedWait, drop_after_polls, for_each_driver};

for_each_driver! {
    what_was_sent_before_a_dropped_wait_is_not_canceled
    what_was_sent_before_it_in_its_transaction_is_not_canceled
    a_transaction_begun_by_hand_survives_a_dropped_acquire
}

async fn what_was_sent_before_a_dropped_wait_is_not_canceled<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("wait").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    for polls in 1..3 {
        // Longer than it takes to cancel what is not known to have begun.
        let work = connection.ask("INSERT INTO work SELECT 1 FROM pg_sleep(0.6)");
        assert!(!drop_after_polls(1, work).await);
        let lock = pglock::advisory("wait").timeout(Duration::from_secs(1));
        let acquire = lock.on_async(connection).acquire();
        let waits = drop_after_polls(polls, acquire);
        let _ = tokio::time::timeout(Duration::from_millis(100), waits).await;
        // On sqlx the first answer is the error of the wait.
        while connection.ask("SELECT 1").await.is_err() {}
        let done = connection.ask("SELECT count(*) FROM work").await.unwrap();
        assert_eq!(done, Some(polls.to_string()));
    }
    held.release().await.unwrap();
}

async fn what_was_sent_before_it_in_its_transaction_is_not_canceled<D: Driver>() {
    if D::DROPPED_WAIT != DroppedWait::Canceled {
        return;
    }
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("wait").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    for polls in 1..3 {
        let mut tx = connection.begin_transaction().await;
        let work = tx.ask("INSERT INTO work SELECT 1 FROM pg_sleep(0.6)");
        assert!(!drop_after_polls(1, work).await);
        let waits = pglock::advisory("wait").acquire_xact_async(&mut *tx);
        let waits = drop_after_polls(polls, waits);
        let _ = tokio::time::timeout(Duration::from_millis(100), waits).await;
        tx.commit_transaction().await;
        let done = connection.ask("SELECT count(*) FROM work").await.unwrap();
        assert_eq!(done, Some(polls.to_string()));
    }
    held.release().await.unwrap();
}

/// Nothing waits there, so nothing may be canceled.
async fn a_transaction_begun_by_hand_survives_a_dropped_acquire<D: Driver>() {
    if D::DROPPED_WAIT != DroppedWait::Canceled {
        return;
    }
    let (db, proxy) = (database(), Proxy::start(server()));
    db.execute("CREATE TABLE work (done int)");
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for polls in 0..4 {
        connection.ask("BEGIN").await.unwrap();
        connection.ask("INSERT INTO work VALUES (1)").await.unwrap();
        let acquire = pglock::advisory("begun").on_async(connection).acquire();
        drop_after_polls(polls, acquire).await;
        // Long enough for a cancel to hit it.
        connection.ask("SELECT pg_sleep(0.5)").await.unwrap();
        connection.ask("COMMIT").await.unwrap();
    }
    let done = connection.ask("SELECT count(*) FROM work").await.unwrap();
    assert_eq!(done.as_deref(), Some("4"));
    assert!(db.advisory_locks().is_empty());
}
