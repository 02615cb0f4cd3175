//! What the caller gets: skipped, an error, the body's own, a panic.

use std::sync::atomic::{AtomicU32, Ordering};

use pglock::Error;
use pglock_tests::BOUND;

use crate::{Failure, Place};

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

#[test]
fn the_value_to_skip_with_is_evaluated_only_then() {
    #[pglock::advisory(1, using = &place.here, timeout = 0, side_effect = Skip(Ok(skipped(skips).await)))]
    async fn run(place: &Place, skips: &AtomicU32) -> Result<&'static str, Error> {
        Ok("run")
    }

    async fn skipped(skips: &AtomicU32) -> &'static str {
        std::future::ready(()).await;
        skips.fetch_add(1, Ordering::Relaxed);
        "skipped"
    }

    let (place, skips) = (Place::new(), AtomicU32::new(0));
    let call = || pollster::block_on(run(&place, &skips)).unwrap();
    assert_eq!(call(), "run");
    assert_eq!(skips.load(Ordering::Relaxed), 0);
    let other = place.held_elsewhere(1);
    assert_eq!(call(), "skipped");
    assert_eq!(skips.load(Ordering::Relaxed), 1);
    drop(other);
    place.db.wait_for_no_locks();
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
fn on_error_panics_at_the_attribute() {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

    thread_local! {
        static PANICKED_AT: Cell<Option<(String, u32)>> = const { Cell::new(None) };
    }

    const ATTRIBUTE: u32 = line!() + 2;

    #[pglock::advisory(1, using = &place.here, timeout = 0, on_error = Panic)]
    fn panics(place: &Place) {}

    let before = take_hook();
    set_hook(Box::new(move |info| {
        let at = info.location().map(|at| (at.file().to_owned(), at.line()));
        PANICKED_AT.set(at);
        before(info);
    }));
    let place = Place::new();
    let other = place.held_elsewhere(1);
    catch_unwind(AssertUnwindSafe(|| panics(&place))).unwrap_err();
    assert_eq!(PANICKED_AT.take(), Some((file!().to_owned(), ATTRIBUTE)));
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
    assert_eq!(
        with_on_error(&place, Err("body".to_owned())).unwrap_err(),
        "body"
    );
    assert_ne!(with_on_error(&place, Ok(1)).unwrap_err(), "body");
    assert_eq!(no_result(&place), 0);
}

#[test]
fn a_loss_stops_an_async_body_that_runs_in_a_plain_fn() {
    #[tokio::main(flavor = "current_thread")]
    #[pglock::advisory("lost", using = &place.here)]
    async fn run(place: &Place) -> Result<(), Error> {
        let locks = place.db.advisory_locks();
        place.db.terminate(locks[0].pid);
        // In a body that is not stopped this is over at last.
        let _ = tokio::time::timeout(BOUND, std::future::pending::<()>()).await;
        Ok(())
    }

    let place = Place::new();
    let error = run(&place).unwrap_err();
    assert!(error.is_lost() && !error.body_finished(), "{error:?}");
}

#[test]
fn methods_of_async_trait() {
    #[async_trait::async_trait]
    trait Job {
        async fn run(&self, part: u8) -> Result<u8, Error>;

        async fn lose(&self) -> Result<(), Error>;

        async fn skip(self: Box<Self>) -> Result<Option<u8>, Error>;
    }

    #[async_trait::async_trait]
    impl Job for Place {
        #[pglock::advisory("outer", using = &self.here)]
        #[pglock::advisory("part-{part}", using = &self.here)]
        async fn run(&self, part: u8) -> Result<u8, Error> {
            tokio::task::yield_now().await;
            self.assert_held(["outer", "part-7"]);
            Ok(part)
        }

        #[pglock::advisory("lost", using = &self.here)]
        async fn lose(&self) -> Result<(), Error> {
            let locks = self.db.advisory_locks();
            self.db.terminate(locks[0].pid);
            let _ = tokio::time::timeout(BOUND, std::future::pending::<()>()).await;
            Ok(())
        }

        #[pglock::advisory(1, using = &self.here, timeout = 0, side_effect = Skip)]
        async fn skip(self: Box<Self>) -> Result<Option<u8>, Error> {
            Ok(Some(1))
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let place = Place::new();
    let job: &dyn Job = &place;
    assert_eq!(runtime.block_on(job.run(7)).unwrap(), 7);
    place.assert_released();
    let error = runtime.block_on(job.lose()).unwrap_err();
    assert!(error.is_lost() && !error.body_finished(), "{error:?}");
    let other = place.held_elsewhere(1);
    let job: Box<dyn Job> = Box::new(place);
    assert_eq!(runtime.block_on(job.skip()).unwrap(), None);
    drop(other);
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
