//! Locks on connections and in transactions of the caller's.

use std::time::Duration;

use pglock::{ConnectionGuard, Error, ErrorKind};
use pglock_tests::{BOUND, TestDb, background, database, wait_until_async};
use tokio_postgres::NoTls;

async fn connect(db: &TestDb) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn id(name: &str) -> (u32, u32) {
    pglock::advisory_id(name)
}

#[test]
fn a_guard_lends_the_connection_and_releases_there() {
    let db = database();
    let mut client = db.connect();
    let mut locked = pglock::advisory("on").on(&mut client).acquire().unwrap();
    let pid: i32 = locked
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    assert_eq!(db.advisory_locks()[0].pid, pid);
    locked.check().unwrap();
    locked.release().unwrap();
    assert!(db.advisory_locks().is_empty());
    drop(pglock::advisory("on").on(&mut client).acquire().unwrap());
    assert!(db.advisory_locks().is_empty());
}

#[tokio::test]
async fn an_async_guard_lends_the_connection_and_releases_there() {
    let db = database();
    let mut client = connect(&db).await;
    let locked = pglock::advisory("on")
        .on_async(&mut client)
        .acquire()
        .await
        .unwrap();
    let pid: i32 = locked
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(db.advisory_locks()[0].pid, pid);
    locked.check().unwrap();
    locked.release().await.unwrap();
    assert!(db.advisory_locks().is_empty());
    drop(
        pglock::advisory("on")
            .on_async(&mut client)
            .acquire()
            .await
            .unwrap(),
    );
    wait_until_async("the drop released it", BOUND, || {
        db.advisory_locks().is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_after_a_drop_comes_after_the_release() {
    let db = database();
    let mut client = connect(&db).await;
    drop(
        pglock::advisory("on")
            .on_async(&mut client)
            .acquire()
            .await
            .unwrap(),
    );
    client.simple_query("SELECT 1").await.unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn busy_on_a_connection_names_the_holder() {
    let db = database();
    let mut holder = db.connect_as("holder");
    let _held = pglock::advisory("busy").on(&mut holder).acquire().unwrap();
    let mut client = db.connect();
    let error = pglock::advisory("busy")
        .timeout(Duration::from_millis(50))
        .on(&mut client)
        .acquire()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.holder().unwrap().application_name, "holder");
    assert!(
        pglock::advisory("busy")
            .on(&mut client)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    let mut tx = client.transaction().unwrap();
    let error = pglock::advisory("busy")
        .timeout(Duration::from_millis(50))
        .acquire_xact(&mut tx)
        .unwrap_err();
    assert_eq!(error.holder().unwrap().application_name, "holder");
    assert!(!pglock::advisory("busy").try_acquire_xact(&mut tx).unwrap());
    assert!(
        !pglock::advisory("busy")
            .timeout(Duration::from_millis(20))
            .try_acquire_xact(&mut tx)
            .unwrap()
    );
    tx.query_one("SELECT 1", &[]).unwrap();
}

#[test]
fn a_statement_timeout_of_the_callers_ends_no_wait_and_is_there_after_it() {
    let db = database();
    let (mut holder, mut client) = (db.connect(), db.connect());
    let held = pglock::advisory("wait").on(&mut holder).acquire().unwrap();
    let waiter = background("it gets the lock", move || {
        client
            .batch_execute("SET statement_timeout = '200ms'")
            .unwrap();
        let acquired = pglock::advisory("wait").on(&mut client).acquire();
        acquired.and_then(ConnectionGuard::release).unwrap();
        let shown = client.query_one("SHOW statement_timeout", &[]).unwrap();
        shown.get::<_, String>(0)
    });
    db.wait_for_waiters(1);
    // The time itself is what is tested: the setting would have struck by then.
    std::thread::sleep(Duration::from_millis(600));
    held.release().unwrap();
    assert_eq!(waiter.finish(BOUND), "200ms");
}

#[test]
fn a_hand_written_transaction_is_refused_with_nothing_held() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SET lock_timeout = '77s'; SET statement_timeout = '88s'; BEGIN")
        .unwrap();
    for timeout in [Duration::ZERO, Duration::from_secs(1)] {
        let error = pglock::advisory("begun")
            .timeout(timeout)
            .on(&mut client)
            .acquire()
            .unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("acquire_xact"), "{error}");
        assert!(db.advisory_locks().is_empty());
    }
    let settings: (String, String) = {
        let row = client.query_one(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')",
            &[],
        );
        let row = row.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(settings, ("77s".into(), "88s".into()));
    client.batch_execute("SELECT 1 / 0").unwrap_err();
    let error = pglock::advisory("begun")
        .on(&mut client)
        .acquire()
        .unwrap_err();
    assert!(error.is_config(), "{error}");
    client.batch_execute("ROLLBACK").unwrap();
    pglock::advisory("begun")
        .on(&mut client)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
}

#[test]
fn a_transaction_left_open_or_aborted_is_rolled_back_then_released() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("CREATE TABLE work (done int)")
        .unwrap();
    for leave in [
        "BEGIN; INSERT INTO work VALUES (1)",
        "BEGIN; INSERT INTO work VALUES (1); SELECT 1 / 0",
    ] {
        let mut locked = pglock::advisory("left").on(&mut client).acquire().unwrap();
        // A batch of one message ends at the error; the transaction stays open all the same.
        for statement in leave.split("; ") {
            let _ = locked.batch_execute(statement);
        }
        let released = locked.release();
        // What was aborted was lost before; what was open is rolled back by us, and reported.
        let reported = released
            .is_err_and(|error| error.is_config() && error.to_string().contains("left open"));
        assert_eq!(reported, !leave.contains("1 / 0"));
        assert!(db.advisory_locks().is_empty());
        let rows: i64 = client
            .query_one("SELECT count(*) FROM work", &[])
            .unwrap()
            .get(0);
        assert_eq!(rows, 0);
    }
}

#[tokio::test]
async fn a_transaction_left_open_or_aborted_is_rolled_back_then_released_async() {
    let db = database();
    let mut client = connect(&db).await;
    client
        .batch_execute("CREATE TABLE work (done int)")
        .await
        .unwrap();
    for leave in [
        "BEGIN; INSERT INTO work VALUES (1)",
        "BEGIN; INSERT INTO work VALUES (1); SELECT 1 / 0",
    ] {
        for release in [true, false] {
            let locked = pglock::advisory("left")
                .on_async(&mut client)
                .acquire()
                .await
                .unwrap();
            for statement in leave.split("; ") {
                let _ = locked.batch_execute(statement).await;
            }
            if release {
                let released = locked.release().await;
                let reported = released.is_err_and(|error| error.is_config());
                assert_eq!(reported, !leave.contains("1 / 0"));
            } else {
                drop(locked);
            }
            let rows: i64 = client
                .query_one("SELECT count(*) FROM work", &[])
                .await
                .unwrap()
                .get(0);
            assert_eq!(rows, 0);
            assert!(db.advisory_locks().is_empty());
        }
    }
}

#[test]
fn postgres_counts_on_a_connection() {
    let db = database();
    let mut client = db.connect();
    let mut outer = pglock::advisory("count").on(&mut client).acquire().unwrap();
    let inner = pglock::advisory("count").on(&mut outer).acquire().unwrap();
    inner.release().unwrap();
    assert_eq!(db.held(id("count")), 1);
    outer.release().unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn a_release_of_what_is_not_held_is_lost() {
    let db = database();
    let mut client = db.connect();
    let mut locked = pglock::advisory("gone").on(&mut client).acquire().unwrap();
    locked
        .batch_execute("SELECT pg_advisory_unlock_all()")
        .unwrap();
    assert!(locked.release().unwrap_err().is_lost());
}

#[test]
fn a_killed_connection_is_lost() {
    let db = database();
    let mut client = db.connect();
    let mut locked = pglock::advisory("gone").on(&mut client).acquire().unwrap();
    let pid: i32 = locked
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    db.terminate(pid);
    db.wait_for_no_locks();
    let error = locked.release().unwrap_err();
    assert!(error.is_lost(), "{error}");
}

#[tokio::test]
async fn a_killed_async_connection_is_lost() {
    let db = database();
    let mut client = connect(&db).await;
    let locked = pglock::advisory("gone")
        .on_async(&mut client)
        .acquire()
        .await
        .unwrap();
    db.terminate(db.advisory_locks()[0].pid);
    wait_until_async("the guard knows", BOUND, || {
        locked.check().is_err_and(|error| error.is_lost())
    })
    .await;
    assert!(locked.release().await.unwrap_err().is_lost());
}

#[test]
fn an_xact_lock_ends_with_its_transaction() {
    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    pglock::advisory("tx").acquire_xact(&mut tx).unwrap();
    pglock::advisory((3, 4))
        .shared()
        .acquire_xact(&mut tx)
        .unwrap();
    assert!(pglock::advisory("tried").try_acquire_xact(&mut tx).unwrap());
    assert_eq!(db.advisory_locks().len(), 3);
    tx.rollback().unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[tokio::test]
async fn an_xact_lock_ends_with_its_transaction_async() {
    let db = database();
    let mut client = connect(&db).await;
    let mut tx = client.transaction().await.unwrap();
    pglock::advisory("tx")
        .acquire_xact_async(&mut tx)
        .await
        .unwrap();
    assert!(
        pglock::advisory("tried")
            .try_acquire_xact_async(&mut tx)
            .await
            .unwrap()
    );
    assert_eq!(db.advisory_locks().len(), 2);
    tx.commit().await.unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn an_aborted_transaction_says_so() {
    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    tx.batch_execute("SELECT 1 / 0").unwrap_err();
    let error = pglock::advisory("tx").acquire_xact(&mut tx).unwrap_err();
    assert!(
        error.is_config() && error.to_string().contains("roll back"),
        "{error}"
    );
    let error = pglock::advisory("tx")
        .try_acquire_xact(&mut tx)
        .unwrap_err();
    assert!(error.is_config(), "{error}");
}

#[test]
fn a_deadlock_in_transactions_is_deadlock_and_names_the_remedy() {
    let db = database();
    let (mut one, mut two) = (db.connect(), db.connect());
    let mut first = one.transaction().unwrap();
    let mut second = two.transaction().unwrap();
    pglock::advisory("a").acquire_xact(&mut first).unwrap();
    pglock::advisory("b").acquire_xact(&mut second).unwrap();
    let results: [Result<(), Error>; 2] = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let result = pglock::advisory("b").acquire_xact(&mut first);
            first.commit().unwrap();
            result
        });
        let second = scope.spawn(|| {
            let result = pglock::advisory("a").acquire_xact(&mut second);
            second.commit().unwrap();
            result
        });
        [first.join().unwrap(), second.join().unwrap()]
    });
    let deadlocks: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!(deadlocks.len(), 1, "{results:?}");
    assert!(deadlocks[0].is_deadlock());
    assert_eq!(deadlocks[0].sql_state().unwrap().code(), "40P01");
}
