//! Functions, methods, and what can be written around and inside them.

use std::fmt::Display;
use std::sync::Arc;

use pglock::{Database, Error};

use crate::{Failure, Place};

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
    assert!(
        run(&place, "x")
            .unwrap_err()
            .is::<std::num::ParseIntError>()
    );
    place.assert_released();
}

#[pglock::advisory(using = &place.here)]
fn generic<T: Display>(place: &Place, value: T) -> Result<String, Error> {
    place.assert_held(["shapes::functions::generic"]);
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
    ) -> Result<impl Iterator<Item = char>, Error> {
        place.assert_held(["opaque"]);
        let text: Vec<char> = text.into().chars().collect();
        Ok(text.into_iter())
    }

    let place = Place::new();
    assert_eq!(characters(&place, "abc").unwrap().count(), 3);
    place.assert_released();
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

/// The attribute and the crate by names that pglock does not know.
mod by_another_name {
    pub(super) use pglock as other;
    pub(super) use pglock::advisory as lock;
}

#[test]
fn the_topmost_attribute_is_outermost() {
    use by_another_name::{lock, other};

    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = |_| "outer is busy")]
    #[pglock::advisory(2, using = &place.here, timeout = 0, on_error = |_| inner_is_busy(place))]
    fn by_its_name(place: &Place) -> &'static str {
        both_are_held(place)
    }

    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = |_| "outer is busy")]
    #[lock(2, using = &place.here, timeout = 0, on_error = |_| inner_is_busy(place))]
    fn renamed(place: &Place) -> &'static str {
        both_are_held(place)
    }

    #[other::advisory(1, using = &place.here, timeout = 0, on_error = |_| "outer is busy")]
    #[tracing::instrument(skip_all)]
    #[other::advisory(2, using = &place.here, timeout = 0, on_error = |_| inner_is_busy(place))]
    async fn of_a_renamed_crate(place: &Place) -> &'static str {
        std::future::ready(()).await;
        both_are_held(place)
    }

    fn both_are_held(place: &Place) -> &'static str {
        assert_eq!((place.db.held(1), place.db.held(2)), (1, 1));
        "done"
    }

    fn inner_is_busy(place: &Place) -> &'static str {
        assert_eq!(place.db.held(1), 1);
        "inner is busy"
    }

    let runs: [fn(&Place) -> &'static str; 3] = [by_its_name, renamed, |place| {
        pollster::block_on(of_a_renamed_crate(place))
    }];
    for run in runs {
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

/// Around a test there is nobody to make a database first.
fn any_database() -> Database {
    Database::builder(pglock_tests::server().url("postgres"))
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

#[pglock::advisory("shapes: should panic", using = any_database(), on_error = Panic)]
#[should_panic(expected = "on purpose")]
#[test]
fn test_that_should_panic() {
    panic!("on purpose");
}

/// Under `#[tokio::test]` it is a plain `fn`, which cannot have `hold_at_most` unless its async body is found.
#[tokio::test]
#[pglock::advisory("shapes: tokio above", using = any_database(), hold_at_most = "10s")]
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
