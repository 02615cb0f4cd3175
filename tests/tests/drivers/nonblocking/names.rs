//! Statements name the lock that they wait for, or have acquired.

use std::time::Duration;

use pglock_tests::{BOUND, TestDb, database, wait_until_async};

use super::{Begin, Commit, Driver, for_each_driver, key, pid};

for_each_driver! {
    holders_and_waiters_name_their_lock
    so_do_they_in_a_transaction
    a_name_may_contain_anything
}

const TIMEOUTS: [Option<Duration>; 3] = [None, Some(Duration::from_secs(60)), Some(Duration::ZERO)];

const COMMENT: &str = "/* pglock: \"nightly-report\" */";

fn says(db: &TestDb, pid: i32, comment: &str) {
    let statement = db.statement_of(pid);
    assert!(statement.starts_with(comment), "{statement}");
}

/// Looks at the waiter once it is there.
async fn the_waiter_says(db: &TestDb, comment: &str) {
    let waits = || db.waiting(key("nightly-report")) == 1;
    wait_until_async("it waits", BOUND, waits).await;
    for lock in db.advisory_locks() {
        says(db, lock.pid, comment);
    }
}

async fn holders_and_waiters_name_their_lock<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let holder = D::connection(&mut holder);
    let waiter = D::connection(&mut session);
    let holder_pid = pid(holder).await;
    for timeout in TIMEOUTS {
        let lock = pglock::advisory("nightly-report");
        let held = lock.clone().timeout(timeout).on_async(&mut *holder);
        let held = held.acquire().await.unwrap();
        says(&db, holder_pid, COMMENT);
        let waits = async {
            let locked = lock.shared().on_async(&mut *waiter).acquire().await;
            locked.unwrap().release().await.unwrap();
        };
        let looks = async {
            the_waiter_says(&db, COMMENT).await;
            held.release().await.unwrap();
        };
        tokio::join!(waits, looks);
    }
}

async fn so_do_they_in_a_transaction<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let holder = D::connection(&mut holder);
    let waiter = D::connection(&mut session);
    let holder_pid = pid(holder).await;
    for timeout in TIMEOUTS {
        let lock = pglock::advisory("nightly-report");
        let mut tx = holder.begin_transaction().await;
        let held = lock.clone().timeout(timeout);
        held.acquire_xact_async(&mut *tx).await.unwrap();
        says(&db, holder_pid, COMMENT);
        let waits = async {
            let mut tx = waiter.begin_transaction().await;
            lock.acquire_xact_async(&mut *tx).await.unwrap();
            tx.commit_transaction().await;
        };
        let looks = async {
            the_waiter_says(&db, COMMENT).await;
            tx.commit_transaction().await;
        };
        tokio::join!(waits, looks);
    }
}

async fn a_name_may_contain_anything<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let pid = pid(connection).await;
    let names = [
        "*/ SELECT 1 / 0; --",
        "/* it's; \"quoted\" $1 :name ? \\ % {}",
        "a\nb\0c\u{1b}",
        "日本語 größe",
        &"long ".repeat(500),
    ];
    for name in names {
        for timeout in TIMEOUTS {
            let lock = pglock::advisory(name).timeout(timeout);
            let held = lock.clone().on_async(&mut *connection).acquire().await;
            assert_eq!(db.held(key(name)), 1, "{name}");
            says(&db, pid, "/* pglock: \"");
            held.unwrap().release().await.unwrap();
            let mut tx = connection.begin_transaction().await;
            lock.acquire_xact_async(&mut *tx).await.unwrap();
            assert_eq!(db.held(key(name)), 1, "{name}");
            tx.commit_transaction().await;
            assert_eq!(db.advisory_locks(), []);
        }
    }
}
