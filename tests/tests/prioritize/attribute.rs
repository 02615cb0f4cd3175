//! `#[pglock::prioritize]`.

use std::time::Duration;

use pglock::{Blocked, Database, Error, ErrorKind, PrioritizeSideEffect};
use pglock_tests::{TestDb, apart, database};
use postgres::Client;

use crate::{Blocker, INTERVAL, here, pid_of};

type Anything = Box<dyn std::error::Error + Send + Sync>;

#[pglock::prioritize(interval = "100ms", using = using, client = client)]
fn take(client: &mut Client, key: i64, using: &Database) -> Result<i64, Anything> {
    client.execute("SELECT pg_advisory_lock($1)", &[&key])?;
    Ok(key)
}

#[test]
fn what_blocks_the_body_is_terminated() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    assert_eq!(take(&mut client, 1, &here(&db)).unwrap(), 1);
    blocker.was_terminated();
    // Afterwards nothing is.
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(2)");
    client.batch_execute("SET lock_timeout = '500ms'").unwrap();
    client
        .batch_execute("SELECT pg_advisory_lock(2)")
        .unwrap_err();
    assert!(blocker.is_alive());
}

#[pglock::prioritize(
    interval = "100ms",
    periodic = false,
    timeout = "500ms",
    side_effect = Cancel,
    using = here(db)
)]
fn cancels(db: &TestDb, client: &mut Client) -> Result<(), Anything> {
    Ok(client.batch_execute("SELECT pg_advisory_lock(1)")?)
}

#[test]
fn the_only_mutable_argument_is_the_connection() {
    let db = database();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let error = cancels(&db, &mut client).unwrap_err();
    let error = error.downcast::<postgres::Error>().unwrap();
    assert_eq!(
        error.code(),
        Some(&postgres::error::SqlState::LOCK_NOT_AVAILABLE)
    );
    assert!(blocker.is_alive());
    let timeout: String = client.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(timeout, "0");
}

#[pglock::prioritize(interval = "100ms", using = using, client = client)]
#[pglock::advisory(7, using = using)]
fn prioritized_job(client: &mut Client, using: &Database) -> Result<(), Anything> {
    Ok(client.batch_execute("SELECT 1")?)
}

#[test]
fn above_advisory_the_wait_for_that_lock_is_prioritized_too() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(7)");
    let mut client = db.connect();
    prioritized_job(&mut client, &here(&db)).unwrap();
    blocker.was_terminated();
    db.wait_for_no_locks();
}

#[pglock::advisory(8, using = using, timeout = "500ms")]
#[pglock::prioritize(interval = "100ms", using = using, client = client)]
fn locked_first(client: &mut Client, using: &Database) -> Result<(), Anything> {
    Ok(client.batch_execute("SELECT pg_advisory_lock(9)")?)
}

#[test]
fn below_advisory_the_wait_for_that_lock_is_not() {
    let db = database();
    let mut client = db.connect();
    let mut outer = Blocker::new(&db, "SELECT pg_advisory_lock(8)");
    let error = locked_first(&mut client, &here(&db)).unwrap_err();
    assert!(error.downcast::<Error>().unwrap().is_busy());
    assert!(outer.is_alive());
    drop(outer);
    db.wait_for_no_locks();
    let inner = Blocker::new(&db, "SELECT pg_advisory_lock(9)");
    locked_first(&mut client, &here(&db)).unwrap();
    inner.was_terminated();
}

struct Fails;

impl PrioritizeSideEffect for Fails {
    fn worker(&self, _: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        Err(Error::side_effect("the pager is away"))
    }
}

#[pglock::prioritize(interval = INTERVAL, side_effect = Fails, using = using, client = client)]
fn watched_badly(
    client: &mut Client,
    using: &Database,
    statement: &str,
) -> Result<&'static str, Anything> {
    client.batch_execute("SET lock_timeout = '500ms'")?;
    let waited = client.batch_execute("SELECT pg_advisory_lock(1)");
    waited.expect_err("it is held");
    client.batch_execute(statement)?;
    Ok("the body's value")
}

#[test]
fn the_bodys_error_wins_and_its_ok_gives_way_to_the_watchers() {
    let db = database();
    let _blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let error = watched_badly(&mut client, &here(&db), "SELECT 1 / 0").unwrap_err();
    assert!(error.downcast::<postgres::Error>().is_ok());
    let error = watched_badly(&mut client, &here(&db), "SELECT 1").unwrap_err();
    let error = error.downcast::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::SideEffect);
}

#[pglock::prioritize(interval = "100ms", timeout = "9s", using = using, client = client)]
fn panics(client: &mut Client, using: &Database) -> Result<(), Anything> {
    client.batch_execute("SELECT 1")?;
    panic!("the body's")
}

#[test]
fn a_panic_goes_on_when_the_section_has_ended() {
    let db = database();
    let mut client = db.connect();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        panics(&mut client, &here(&db))
    }));
    assert_eq!(
        *panic.unwrap_err().downcast::<&str>().unwrap(),
        "the body's"
    );
    let timeout: String = client.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
    assert_eq!(timeout, "0");
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    client.batch_execute("SET lock_timeout = '500ms'").unwrap();
    client
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert!(blocker.is_alive());
}

struct Worker {
    db: Client,
    here: Database,
}

impl Worker {
    #[pglock::prioritize(interval = "100ms", using = &self.here, client = self.db, on_error = Panic)]
    fn take(&mut self) -> i32 {
        self.db
            .batch_execute("SELECT pg_advisory_lock(1)")
            .expect("nobody keeps it");
        pid_of(&mut self.db)
    }
}

#[test]
fn a_connection_of_the_methods_own() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut worker = Worker {
        db: db.connect(),
        here: here(&db),
    };
    let pid = worker.take();
    assert_ne!(pid, blocker.pid);
    blocker.was_terminated();
}

#[pglock::prioritize(interval = "100ms", using = &using, client = client)]
#[pglock::advisory(5, using = &using)]
#[pglock::timeout("9s", client = client)]
async fn take_async(
    client: &mut tokio_postgres::Client,
    using: Database,
) -> Result<String, Anything> {
    client.batch_execute("SELECT pg_advisory_lock(1)").await?;
    Ok(client.query_one("SHOW lock_timeout", &[]).await?.get(0))
}

#[tokio::test]
async fn an_async_function_that_can_be_spawned() {
    let db = database();
    let one = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let other = Blocker::new(&db, "SELECT pg_advisory_lock(5)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let database = here(&db);
    let spawned = tokio::spawn(async move { take_async(&mut client, database).await });
    assert_eq!(spawned.await.unwrap().unwrap(), "9s");
    one.was_terminated();
    other.was_terminated();
}

#[tokio::test]
async fn an_async_call_that_is_dropped_watches_no_more() {
    let db = database();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let call = slow(&mut client, here(&db));
    let dropped = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(dropped.is_err());
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

#[pglock::prioritize(interval = "100ms", using = using, client = client)]
async fn slow(client: &mut tokio_postgres::Client, using: Database) -> Result<(), Anything> {
    client.batch_execute("SELECT 1").await?;
    std::future::pending().await
}

#[test]
fn each_attribute_adds_little_to_the_future() {
    /// Less than the body has, which is boxed.
    const THREE_ATTRIBUTES: usize = 4 * 1024;
    let db = database();
    let mut future_of = 0;
    apart(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut client, _connection) =
                tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
                    .await
                    .unwrap();
            future_of = std::mem::size_of_val(&large(&mut client, here(&db)));
        });
    });
    assert!(future_of < THREE_ATTRIBUTES, "{future_of}");
}

#[pglock::prioritize(using = &using, client = client)]
#[pglock::advisory(5, using = &using)]
#[pglock::timeout("9s", client = client)]
async fn large(client: &mut tokio_postgres::Client, using: Database) -> Result<u8, Anything> {
    let page = [1_u8; 8 * 1024];
    client.batch_execute("SELECT 1").await?;
    Ok(page[7])
}
