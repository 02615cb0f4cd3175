//! Async twins.

use std::time::{Duration, Instant};

use pglock_tests::{BOUND, TestDb, wait_until_async};
use tokio_postgres::NoTls;

use crate::with_tables;

async fn connect(db: &TestDb) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn async_twins_do_the_same() {
    let db = with_tables();
    let (mut holder, mut client) = (connect(&db).await, connect(&db).await);
    let mut held = holder.transaction().await.unwrap();
    pglock::tables(["orders", "billing.invoices"])
        .lock_async(&mut held)
        .await
        .unwrap();
    let mut tx = client.transaction().await.unwrap();
    assert!(
        !pglock::table("orders")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
    let error = pglock::table("orders")
        .timeout(Duration::from_millis(50))
        .lock_async(&mut tx)
        .await
        .unwrap_err();
    assert!(error.is_busy() && error.holder().is_some(), "{error}");
    assert!(
        pglock::table("Order")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
    held.commit().await.unwrap();
    pglock::table("orders").lock_async(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_dropped_wait_for_a_table_is_canceled_and_the_transaction_goes_on() {
    let db = with_tables();
    let (mut holder, mut client) = (connect(&db).await, connect(&db).await);
    let mut held = holder.transaction().await.unwrap();
    pglock::table("orders").lock_async(&mut held).await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    for round in 0..6 {
        let time = Duration::from_millis(round * 3);
        let _ = tokio::time::timeout(time, pglock::table("orders").lock_async(&mut tx)).await;
        let _ =
            tokio::time::timeout(time / 10, pglock::table("orders").try_lock_async(&mut tx)).await;
        let began = Instant::now();
        tx.simple_query("SELECT 1").await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it took {:?}",
            began.elapsed()
        );
        wait_until_async("nobody waits", BOUND, || db.blocked_pids().is_empty()).await;
    }
    held.commit().await.unwrap();
    assert!(
        pglock::table("orders")
            .try_lock_async(&mut tx)
            .await
            .unwrap()
    );
}
