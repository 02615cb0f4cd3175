//! Lock timeouts for a part of the work.

use std::time::{Duration, Instant};

use pglock::{AnyConnection, Error};
use pglock_tests::{BOUND, TestDb, database, wait_until};
use postgres::Client;
use postgres::error::SqlState;
use tokio_postgres::NoTls;

const SECOND: Duration = Duration::from_secs(1);

fn shown(client: &mut Client) -> String {
    client.query_one("SHOW lock_timeout", &[]).unwrap().get(0)
}

async fn connect(db: &TestDb) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn shown_async(client: &tokio_postgres::Client) -> String {
    client
        .query_one("SHOW lock_timeout", &[])
        .await
        .unwrap()
        .get(0)
}

#[test]
fn a_statement_that_waits_longer_fails() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut holder, mut client) = (db.connect(), db.connect());
    holder.batch_execute("BEGIN; LOCK TABLE orders").unwrap();
    let mut impatient = pglock::timeout(Duration::from_millis(100))
        .on(&mut client)
        .unwrap();
    let began = Instant::now();
    let error = impatient.batch_execute("SELECT FROM orders").unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    assert!(began.elapsed() >= Duration::from_millis(100) && began.elapsed() < SECOND);
}

#[test]
fn each_scope_bounds_its_own_statements_on_its_own_connection() {
    /// How long a statement waited that had to give up.
    fn waited(client: &mut Client) -> Duration {
        let began = Instant::now();
        let error = client
            .batch_execute("UPDATE orders SET id = 2")
            .unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
        began.elapsed()
    }

    let db = database();
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    let (mut holder, mut client, mut other) = (db.connect(), db.connect(), db.connect());
    holder
        .batch_execute("BEGIN; SELECT FROM orders FOR UPDATE")
        .unwrap();
    let (short, long) = (Duration::from_millis(50), SECOND * 2);
    let mut outer = pglock::timeout(short).on(&mut client).unwrap();
    let before = waited(&mut outer);
    assert!(before >= short && before < long, "{before:?}");
    let mut inner = pglock::timeout(long).on(&mut outer).unwrap();
    let within = waited(&mut inner);
    assert!(within >= long, "{within:?}");
    inner.restore().unwrap();
    let after = waited(&mut outer);
    assert!(after >= short && after < long, "{after:?}");
    assert_eq!(shown(&mut other), "0");
}

#[test]
fn none_waits_for_ever_whatever_the_session_says() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut holder, mut client, mut observer) = (db.connect(), db.connect(), db.connect());
    client.batch_execute("SET lock_timeout = '20ms'").unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE orders").unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut patient = pglock::timeout(None).on(&mut client).unwrap();
            patient.batch_execute("SELECT FROM orders")
        });
        let long = pglock::locks()
            .granted(false)
            .filter("wait_duration__gt=60 milliseconds")
            .unwrap();
        wait_until("it has waited for longer", BOUND, || {
            !long.clone().fetch(&mut observer).unwrap().is_empty()
        });
        holder.batch_execute("COMMIT").unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn scopes_nest_and_put_back_what_was_there() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SET lock_timeout = '7s'").unwrap();
    {
        let mut outer = pglock::timeout(SECOND).on(&mut client).unwrap();
        assert_eq!(shown(&mut outer), "1s");
        {
            let mut inner = pglock::timeout(None).on(&mut outer).unwrap();
            assert_eq!(shown(&mut inner), "0");
            inner.batch_execute("SELECT 1 / 0").unwrap_err();
        }
        assert_eq!(shown(&mut outer), "1s");
        let inner = pglock::timeout(Duration::from_millis(1500))
            .on(&mut outer)
            .unwrap();
        inner.restore().unwrap();
        assert_eq!(shown(&mut outer), "1s");
    }
    assert_eq!(shown(&mut client), "7s");
}

#[test]
fn in_a_transaction_it_is_the_transactions() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SET lock_timeout = '7s'").unwrap();
    let mut tx = client.transaction().unwrap();
    tx.batch_execute("SET LOCAL lock_timeout = '5s'").unwrap();
    let mut scope = pglock::timeout(SECOND).on(&mut tx).unwrap();
    let value: String = scope.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(value, "1s");
    scope.restore().unwrap();
    let value: String = tx.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(value, "5s");
    tx.commit().unwrap();
    assert_eq!(shown(&mut client), "7s");
}

#[test]
fn in_an_aborted_transaction_the_rollback_puts_it_back() {
    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let mut scope = pglock::timeout(SECOND).on(&mut tx).unwrap();
    scope.batch_execute("SELECT 1 / 0").unwrap_err();
    scope.restore().unwrap();
    let error = pglock::timeout(SECOND).on(&mut tx).unwrap_err();
    assert!(error.is_config(), "{error}");
    tx.rollback().unwrap();
    assert_eq!(shown(&mut client), "0");
}

#[test]
fn a_transaction_begun_by_hand_and_left_aborted_is_rolled_back_first() {
    let db = database();
    let mut client = db.connect();
    let mut scope = pglock::timeout(SECOND).on(&mut client).unwrap();
    scope.batch_execute("BEGIN").unwrap();
    scope.batch_execute("SELECT 1 / 0").unwrap_err();
    drop(scope);
    assert_eq!(shown(&mut client), "0");
}

#[test]
fn what_cannot_be_a_lock_timeout_is_config() {
    let db = database();
    let mut client = db.connect();
    for duration in [Duration::ZERO, Duration::from_secs(60 * 60 * 24 * 30)] {
        assert!(
            pglock::timeout(duration)
                .on(&mut client)
                .unwrap_err()
                .is_config()
        );
    }
    let mut scope = pglock::timeout(Duration::from_micros(1))
        .on(&mut client)
        .unwrap();
    assert_eq!(shown(&mut scope), "1ms");
}

#[test]
fn a_scope_is_a_connection() {
    fn pid(connection: &mut Client) -> i32 {
        connection
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0)
    }

    fn is_any<C: AnyConnection>(_: &C) {}

    let db = database();
    let mut client = db.connect();
    let mut scope = pglock::timeout(SECOND).on(&mut client).unwrap();
    is_any(&scope);
    let mut locked = pglock::advisory("nested").on(&mut scope).acquire().unwrap();
    assert_eq!(db.advisory_locks()[0].pid, pid(&mut locked));
    locked.release().unwrap();
    let mut tx = scope.transaction().unwrap();
    let mut inner = pglock::timeout(SECOND).on(&mut tx).unwrap();
    pglock::advisory("in a scope")
        .acquire_xact(&mut inner)
        .unwrap();
}

#[tokio::test]
async fn async_scopes_nest_and_put_back_what_was_there() -> Result<(), Error> {
    let db = database();
    let mut client = connect(&db).await;
    client
        .batch_execute("SET lock_timeout = '7s'")
        .await
        .unwrap();
    {
        let mut outer = pglock::timeout(SECOND).on_async(&mut client).await?;
        assert_eq!(shown_async(&outer).await, "1s");
        let inner = pglock::timeout(None).on_async(&mut outer).await?;
        assert_eq!(shown_async(&inner).await, "0");
        drop(inner);
        assert_eq!(shown_async(&outer).await, "1s");
        let tx = outer.transaction().await.unwrap();
        tx.batch_execute("SELECT 1").await.unwrap();
        tx.commit().await.unwrap();
        outer.restore().await?;
    }
    assert_eq!(shown_async(&client).await, "7s");
    Ok(())
}

#[tokio::test]
async fn a_setting_that_is_dropped_half_way_is_put_back() {
    let db = database();
    let mut client = connect(&db).await;
    for round in 0..60 {
        let scoped = async {
            let scope = pglock::timeout(SECOND).on_async(&mut client).await.unwrap();
            shown_async(&scope).await;
            scope.restore().await.unwrap();
        };
        let _ = tokio::time::timeout(Duration::from_micros(round * 20), scoped).await;
        assert_eq!(shown_async(&client).await, "0", "round {round}");
    }
}

#[pglock::timeout("1s")]
fn annotated(client: &mut Client) -> Result<String, Error> {
    Ok(shown(client))
}

#[pglock::timeout(None, client = second)]
async fn annotated_async(
    first: &mut Vec<u32>,
    second: &mut tokio_postgres::Client,
) -> Result<String, Error> {
    first.push(1);
    Ok(shown_async(second).await)
}

struct Job {
    db: Client,
}

impl Job {
    #[pglock::timeout("2s", client = self.db)]
    fn fails(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(shown(&mut self.db), "2s");
        self.db.batch_execute("BEGIN")?;
        self.db.batch_execute("SELECT 1 / 0")?;
        Ok(())
    }

    #[pglock::timeout("2s", client = self.db, on_error = Panic)]
    fn panics(&mut self) {
        panic!("in the body")
    }
}

#[test]
fn an_annotated_function_has_its_timeout_and_puts_back_what_was_there() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SET lock_timeout = '7s'").unwrap();
    assert_eq!(annotated(&mut client).unwrap(), "1s");
    assert_eq!(shown(&mut client), "7s");
    let mut job = Job { db: client };
    let error = job.fails().unwrap_err();
    assert!(
        error.downcast_ref::<postgres::Error>().is_some(),
        "the body's error wins: {error}"
    );
    assert_eq!(shown(&mut job.db), "7s");
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.panics())).is_err());
    assert_eq!(shown(&mut job.db), "7s");
}

#[test]
fn a_statement_of_an_annotated_function_that_waits_longer_fails() {
    #[pglock::timeout("50ms")]
    fn archive(client: &mut Client) -> Result<u64, Box<dyn std::error::Error>> {
        Ok(client.execute("DELETE FROM orders", &[])?)
    }

    let db = database();
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    let (mut holder, mut client) = (db.connect(), db.connect());
    holder
        .batch_execute("BEGIN; SELECT FROM orders FOR UPDATE")
        .unwrap();
    let error = archive(&mut client).unwrap_err();
    let error: &postgres::Error = error.downcast_ref().unwrap();
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    holder.batch_execute("COMMIT").unwrap();
    assert_eq!(archive(&mut client).unwrap(), 1);
}

#[tokio::test]
async fn an_annotated_async_function_has_its_timeout_and_puts_back_what_was_there() {
    let db = database();
    let mut client = connect(&db).await;
    client
        .batch_execute("SET lock_timeout = '7s'")
        .await
        .unwrap();
    assert_eq!(
        annotated_async(&mut Vec::new(), &mut client).await.unwrap(),
        "0"
    );
    assert_eq!(shown_async(&client).await, "7s");
}

#[test]
fn attributes_nest_in_reading_order() {
    #[pglock::timeout("1s")]
    #[pglock::advisory("nested", client = client)]
    fn timeout_outside(db: &TestDb, client: &mut Client) -> Result<String, Error> {
        assert_eq!(db.held(pglock::advisory_id("nested")), 1);
        Ok(shown(client))
    }

    #[pglock::advisory("nested", client = client)]
    #[pglock::timeout("2s")]
    fn timeout_inside(db: &TestDb, client: &mut Client) -> Result<String, Error> {
        assert_eq!(db.held(pglock::advisory_id("nested")), 1);
        Ok(shown(client))
    }

    let db = database();
    let mut client = db.connect();
    assert_eq!(timeout_outside(&db, &mut client).unwrap(), "1s");
    assert_eq!(timeout_inside(&db, &mut client).unwrap(), "2s");
    assert_eq!(shown(&mut client), "0");
    assert!(db.advisory_locks().is_empty());
}
