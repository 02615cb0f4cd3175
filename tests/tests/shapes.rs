//! Annotated functions of every shape, called: the lock is held in the body, seen from another session, and released
//! afterwards.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pglock::{Database, Error};
use pglock_tests::{Key, TestDb, database};
use postgres::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A database of a test's own, and pglock's handle for it.
struct Place {
    db: TestDb,
    here: Database,
}

impl Place {
    fn new() -> Self {
        let db = database();
        let here = Database::builder(db.url()).build().unwrap();
        Self { db, here }
    }

    /// Fails unless exactly these locks are held.
    #[track_caller]
    fn assert_held<const N: usize>(&self, ids: [&str; N]) {
        for id in ids {
            assert_eq!(self.db.held(pglock::advisory_id(id)), 1, "{id}");
        }
        assert_eq!(self.db.advisory_locks().len(), N);
    }

    #[track_caller]
    fn assert_released(&self) {
        assert_eq!(self.db.advisory_locks(), []);
    }

    /// A session that holds a lock until it is dropped.
    fn held_elsewhere(&self, key: i64) -> Client {
        let mut client = self.db.connect();
        client
            .execute("SELECT pg_advisory_lock($1)", &[&key])
            .unwrap();
        client
    }
}

#[test]
fn free_functions() {
    #[pglock::advisory("free", using = &place.here)]
    fn run(place: &Place, number: &str) -> Result<u8, Failure> {
        place.assert_held(["free"]);
        if number.is_empty() {
            return Ok(0);
        }
        Ok(number.parse()?)
    }

    let place = Place::new();
    assert_eq!(run(&place, "").unwrap(), 0);
    place.assert_released();
    assert_eq!(run(&place, "42").unwrap(), 42);
    place.assert_released();
    assert!(run(&place, "x").unwrap_err().is::<std::num::ParseIntError>());
    place.assert_released();
}

#[pglock::advisory(using = &place.here)]
fn r#match(place: &Place) -> Result<(), Error> {
    place.assert_held(["shapes::match"]);
    Ok(())
}

#[test]
fn a_default_lock_id_is_the_path() {
    let place = Place::new();
    r#match(&place).unwrap();
    place.assert_released();
}

#[pglock::advisory(using = &place.here)]
fn generic<T: Display>(place: &Place, value: T) -> Result<String, Error> {
    place.assert_held(["shapes::generic"]);
    Ok(value.to_string())
}

#[test]
fn generic_functions_are_one_function() {
    let place = Place::new();
    assert_eq!(generic(&place, 1).unwrap(), "1");
    assert_eq!(generic(&place, "one").unwrap(), "one");
    place.assert_released();
}

struct Job {
    place: Place,
    runs: u32,
}

impl Job {
    #[pglock::advisory("job", using = &self.place.here)]
    fn by_reference(&self) -> Result<&u32, Error> {
        self.place.assert_held(["job"]);
        Ok(&self.runs)
    }

    #[pglock::advisory("job", using = &self.place.here)]
    fn by_mutable_reference(&mut self) -> Result<&mut u32, Error> {
        self.place.assert_held(["job"]);
        self.runs += 1;
        Ok(&mut self.runs)
    }

    #[pglock::advisory("job", using = &self.place.here)]
    fn shared(self: Arc<Self>) -> Result<Arc<Self>, Error> {
        self.place.assert_held(["job"]);
        Ok(self)
    }

    #[pglock::advisory("job", using = &self.place.here)]
    async fn by_reference_async(&self, suffix: &str) -> Result<String, Error> {
        tokio::task::yield_now().await;
        self.place.assert_held(["job"]);
        Ok(format!("{}{suffix}", self.runs))
    }

    #[pglock::advisory("job", using = &self.place.here)]
    fn by_value(mut self) -> Result<Self, Error> {
        self.place.assert_held(["job"]);
        self.runs += 1;
        Ok(self)
    }
}

#[tokio::test]
async fn methods() {
    let mut job = Job {
        place: Place::new(),
        runs: 0,
    };
    assert_eq!(job.by_reference().unwrap(), &0);
    job.place.assert_released();
    *job.by_mutable_reference().unwrap() += 1;
    job.place.assert_released();
    assert_eq!(job.by_reference_async("!").await.unwrap(), "2!");
    job.place.assert_released();
    let job = job.by_value().unwrap();
    job.place.assert_released();
    let job = Arc::new(job).shared().unwrap();
    job.place.assert_released();
    assert_eq!(job.runs, 3);
}

trait Task {
    type Output;

    fn run(&self) -> Result<Self::Output, Error>;

    async fn run_async(&self) -> Result<Self::Output, Error>;
}

impl Task for Place {
    type Output = &'static str;

    #[pglock::advisory("task", using = &self.here)]
    fn run(&self) -> Result<Self::Output, Error> {
        self.assert_held(["task"]);
        Ok("done")
    }

    #[pglock::advisory("task", using = &self.here)]
    async fn run_async(&self) -> Result<Self::Output, Error> {
        self.assert_held(["task"]);
        Ok("done")
    }
}

#[tokio::test]
async fn trait_impls() {
    let place = Place::new();
    assert_eq!(place.run().unwrap(), "done");
    place.assert_released();
    assert_eq!(place.run_async().await.unwrap(), "done");
    place.assert_released();
}

#[test]
fn opaque_types() {
    #[pglock::advisory("opaque", using = &place.here)]
    fn characters(
        place: &Place,
        text: impl Into<String>,
    ) -> Result<impl Iterator<Item = char> + use<>, Error> {
        place.assert_held(["opaque"]);
        let text: Vec<char> = text.into().chars().collect();
        Ok(text.into_iter())
    }

    let place = Place::new();
    assert_eq!(characters(&place, "abc").unwrap().count(), 3);
    place.assert_released();
}

#[test]
fn unsafe_functions() {
    #[pglock::advisory("unsafe", using = &place.here)]
    unsafe fn run(place: &Place) -> Result<u8, Error> {
        place.assert_held(["unsafe"]);
        Ok(1)
    }

    // Calling one is the business of a user who may: that it compiles is all there is to see here.
    let _: unsafe fn(&Place) -> Result<u8, Error> = run;
}

#[test]
fn templates_and_patterns() {
    struct Point {
        x: i32,
        y: i32,
    }

    #[pglock::advisory("{{{x}:{second}}}:{name}", using = &place.here)]
    fn run(
        place: &Place,
        Point { x, y: second }: Point,
        (name, mut count): (&str, u8),
    ) -> Result<u8, Error> {
        place.assert_held([format!("{{{x}:{second}}}:{name}").as_str()]);
        count += 1;
        Ok(count)
    }

    let place = Place::new();
    assert_eq!(run(&place, Point { x: 1, y: -2 }, ("größe", 1)).unwrap(), 2);
    place.assert_released();
}

#[test]
fn lock_ids() {
    macro_rules! check {
        ($($name:ident($id:expr, $key:expr);)*) => {$(
            #[pglock::advisory($id, using = &place.here)]
            fn $name(place: &Place) -> Result<(), Error> {
                assert_eq!(place.db.held($key), 1);
                Ok(())
            }

            let place = Place::new();
            $name(&place).unwrap();
            place.assert_released();
        )*};
    }

    check! {
        positive(42, 42);
        smallest(-9_223_372_036_854_775_808, i64::MIN);
        pair((1, -2), (1, -2));
        text("hello", (245_608_543_u32, 3_125_670_444_u32));
        computed(format!("{}{}", "hel", "lo"), (245_608_543_u32, 3_125_670_444_u32));
    }
}

macro_rules! functions {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($argument:ident: $ty:ty) -> $output:ty $body:block) => {
        $(#[$meta])*
        $vis fn $name($argument: $ty) -> $output $body
    };
}

functions! {
    #[pglock::advisory("outer", using = &place.here)]
    #[pglock::advisory("inner", using = &place.here)]
    fn made_by_macro_rules(place: &Place) -> Result<u8, Error> {
        place.assert_held(["outer", "inner"]);
        Ok(1)
    }
}

#[test]
fn macro_rules_functions() {
    let place = Place::new();
    assert_eq!(made_by_macro_rules(&place).unwrap(), 1);
    place.assert_released();
}

#[test]
fn the_topmost_attribute_is_outermost() {
    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = |_| "outer is busy")]
    #[pglock::advisory(2, using = &place.here, timeout = 0, on_error = |_| inner_is_busy(place))]
    fn run(place: &Place) -> &'static str {
        assert_eq!((place.db.held(1), place.db.held(2)), (1, 1));
        "done"
    }

    fn inner_is_busy(place: &Place) -> &'static str {
        assert_eq!(place.db.held(1), 1);
        "inner is busy"
    }

    let place = Place::new();
    assert_eq!(run(&place), "done");
    place.assert_released();
    let other = place.held_elsewhere(1);
    assert_eq!(run(&place), "outer is busy");
    drop(other);
    place.db.wait_for_no_locks();
    let other = place.held_elsewhere(2);
    assert_eq!(run(&place), "inner is busy");
    drop(other);
    place.db.wait_for_no_locks();
}

#[tokio::test(flavor = "multi_thread")]
async fn futures_can_be_spawned() {
    /// `Send`, and not `Sync`.
    #[pglock::advisory("spawned", using = &place.here)]
    async fn run(place: Arc<Place>, cell: std::cell::Cell<u8>) -> Result<u8, Failure> {
        tokio::task::yield_now().await;
        place.assert_held(["spawned"]);
        Ok(cell.get())
    }

    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    let place = Arc::new(Place::new());
    let future = assert_send(run(place.clone(), std::cell::Cell::new(3)));
    assert_eq!(tokio::spawn(future).await.unwrap().unwrap(), 3);
    place.assert_released();
}

#[test]
fn skip_runs_nothing() {
    #[pglock::advisory(1, using = &place.here, timeout = 0, side_effect = Skip)]
    fn option(place: &Place) -> Result<Option<u8>, Error> {
        assert_eq!(place.db.held(1), 1);
        Ok(Some(1))
    }

    #[pglock::advisory(1, using = &place.here, timeout = "20ms", side_effect = Skip, on_error = Panic)]
    fn nothing(place: &Place, runs: &AtomicU32) {
        runs.fetch_add(1, Ordering::Relaxed);
    }

    let (place, runs) = (Place::new(), AtomicU32::new(0));
    assert_eq!(option(&place).unwrap(), Some(1));
    nothing(&place, &runs);
    let other = place.held_elsewhere(1);
    assert_eq!(option(&place).unwrap(), None);
    nothing(&place, &runs);
    assert_eq!(runs.into_inner(), 1);
    drop(other);
    place.db.wait_for_no_locks();
}

#[tokio::test]
async fn the_value_to_skip_with_is_evaluated_only_then() {
    #[pglock::advisory(1, using = &place.here, timeout = 0, side_effect = Skip(Ok(skipped(skips).await)))]
    async fn run(place: &Place, skips: &AtomicU32) -> Result<&'static str, Error> {
        Ok("run")
    }

    async fn skipped(skips: &AtomicU32) -> &'static str {
        tokio::task::yield_now().await;
        skips.fetch_add(1, Ordering::Relaxed);
        "skipped"
    }

    let (place, skips) = (Place::new(), AtomicU32::new(0));
    assert_eq!(run(&place, &skips).await.unwrap(), "run");
    assert_eq!(skips.load(Ordering::Relaxed), 0);
    let other = tokio::task::block_in_place(|| place.held_elsewhere(1));
    assert_eq!(run(&place, &skips).await.unwrap(), "skipped");
    assert_eq!(skips.load(Ordering::Relaxed), 1);
    tokio::task::block_in_place(|| drop(other));
}

#[test]
fn errors_go_where_on_error_says() {
    #[pglock::advisory(1, using = &place.here, timeout = 0)]
    fn raises(place: &Place) -> Result<(), Failure> {
        Ok(())
    }

    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = |error| error.is_busy())]
    fn closure(place: &Place) -> bool {
        false
    }

    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = Panic)]
    fn panics(place: &Place) {}

    let place = Place::new();
    assert!(!closure(&place));
    let other = place.held_elsewhere(1);
    assert!(closure(&place));
    let error = raises(&place).unwrap_err();
    assert!(error.downcast::<Error>().unwrap().is_busy());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panics(&place)));
    assert!(panic.unwrap_err().downcast::<String>().is_ok());
    drop(other);
    place.db.wait_for_no_locks();
}

#[test]
fn the_error_of_the_body_wins() {
    fn lose(place: &Place) {
        let locks = place.db.advisory_locks();
        place.db.terminate(locks[0].pid);
    }

    #[pglock::advisory("lost", using = &place.here)]
    fn result(place: &Place, result: Result<u8, Failure>) -> Result<u8, Failure> {
        lose(place);
        result
    }

    #[pglock::advisory("lost", using = &place.here, on_error = |error| Err(error.to_string()))]
    fn with_on_error(place: &Place, result: Result<u8, String>) -> Result<u8, String> {
        lose(place);
        result
    }

    #[pglock::advisory("lost", using = &place.here, on_error = |_| 0)]
    fn no_result(place: &Place) -> u8 {
        lose(place);
        1
    }

    let place = Place::new();
    let error = result(&place, Err("body".into())).unwrap_err();
    assert_eq!(error.to_string(), "body");
    let error = result(&place, Ok(1)).unwrap_err().downcast::<Error>();
    assert!(error.as_ref().unwrap().is_lost(), "{error:?}");
    assert!(error.unwrap().body_finished());
    assert_eq!(with_on_error(&place, Err("body".to_owned())).unwrap_err(), "body");
    assert_ne!(with_on_error(&place, Ok(1)).unwrap_err(), "body");
    assert_eq!(no_result(&place), 0);
}

#[test]
fn a_panic_releases() {
    #[pglock::advisory("panic", using = &place.here)]
    fn run(place: &Place) -> Result<(), Error> {
        place.assert_held(["panic"]);
        panic!("on purpose");
    }

    let place = Place::new();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&place)));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"on purpose"));
    place.db.wait_for_no_locks();
}

fn pid(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

/// Fails unless that backend holds that lock, and nobody holds another.
#[track_caller]
fn assert_held_by(db: &TestDb, id: &str, pid: i32) {
    let locks = db.advisory_locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!(locks[0].key, Key::from(pglock::advisory_id(id)));
    assert_eq!(locks[0].pid, pid);
}

#[test]
fn on_a_client() {
    #[pglock::advisory("client:{id}", client = client)]
    fn run<'i>(client: &mut Client, db: &TestDb, id: &'i str) -> Result<&'i str, Failure> {
        let pid = pid(client);
        assert_held_by(db, "client:x", pid);
        Ok(id)
    }

    struct Holder {
        client: Client,
        runs: u32,
    }

    impl Holder {
        #[pglock::advisory("place", client = self.client)]
        fn run(&mut self, db: &TestDb) -> Result<&mut u32, Failure> {
            assert_held_by(db, "place", pid(&mut self.client));
            self.runs += 1;
            Ok(&mut self.runs)
        }
    }

    let db = database();
    let mut client = db.connect();
    assert_eq!(run(&mut client, &db, "x").unwrap(), "x");
    assert_eq!(db.advisory_locks(), []);
    let mut holder = Holder { client, runs: 0 };
    *holder.run(&db).unwrap() += 1;
    assert_eq!(db.advisory_locks(), []);
    assert_eq!(holder.runs, 2);
}

#[test]
fn in_a_transaction() {
    #[pglock::advisory("transaction", client = tx, xact)]
    fn run(tx: &mut postgres::Transaction<'_>, db: &TestDb) -> Result<i32, Failure> {
        let pid = tx.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        assert_held_by(db, "transaction", pid);
        Ok(pid)
    }

    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let pid = run(&mut tx, &db).unwrap();
    assert_held_by(&db, "transaction", pid);
    tx.commit().unwrap();
    assert_eq!(db.advisory_locks(), []);
}

#[tokio::test]
async fn on_async_connections() {
    async fn pid(client: &(impl tokio_postgres::GenericClient + Sync)) -> i32 {
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
        row.unwrap().get(0)
    }

    #[pglock::advisory("client", client = client)]
    async fn session(client: &mut tokio_postgres::Client, db: &TestDb) -> Result<(), Failure> {
        assert_held_by(db, "client", pid(client).await);
        Ok(())
    }

    #[pglock::advisory("transaction", client = tx, xact)]
    async fn transaction(
        tx: &mut tokio_postgres::Transaction<'_>,
        db: &TestDb,
    ) -> Result<(), Failure> {
        assert_held_by(db, "transaction", pid(tx).await);
        Ok(())
    }

    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    session(&mut client, &db).await.unwrap();
    assert_eq!(db.advisory_locks(), []);
    let mut tx = client.transaction().await.unwrap();
    transaction(&mut tx, &db).await.unwrap();
    assert_eq!(db.advisory_locks().len(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(db.advisory_locks(), []);
}

/// Around a test there is nobody to make a database first.
fn any_database() -> Database {
    Database::builder(&pglock_tests::server().url("postgres"))
        .build()
        .unwrap()
}

#[test]
#[pglock::advisory("shapes: test above", using = any_database())]
fn test_above() -> Result<(), Failure> {
    pglock::check()?;
    Ok(())
}

#[pglock::advisory("shapes: test below", using = any_database())]
#[test]
fn test_below() -> Result<(), Failure> {
    pglock::check()?;
    Ok(())
}

#[tokio::test]
#[pglock::advisory("shapes: tokio above", using = any_database())]
async fn tokio_test_above() -> Result<(), Failure> {
    pglock::check()?;
    Ok(())
}

#[pglock::advisory("shapes: tokio below", using = any_database())]
#[tokio::test]
async fn tokio_test_below() -> Result<(), Failure> {
    tokio::task::yield_now().await;
    Ok(())
}
