//! When the arguments are dropped: under the lock, in the order of a plain function.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use pglock::{Database, Error, LockId};
use pglock_tests::BOUND;

use crate::{Failure, Place};

const KEY: i64 = 1;

/// Notes its name as it is dropped, and whether the lock is held.
#[derive(Clone)]
struct Noted(&'static str, Arc<Notes>);

struct Notes {
    place: Place,
    dropped: Mutex<Vec<(&'static str, bool)>>,
    /// Whether the async body waits for ever.
    waits: AtomicBool,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let is_held = self.1.place.db.held(KEY) == 1;
        self.1.dropped.lock().unwrap().push((self.0, is_held));
    }
}

struct Pair {
    first: Noted,
    second: Noted,
}

impl Notes {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            place: Place::new(),
            dropped: Mutex::default(),
            waits: AtomicBool::new(false),
        })
    }

    fn note(self: &Arc<Self>, name: &'static str) -> Noted {
        Noted(name, Arc::clone(self))
    }

    fn pair(self: &Arc<Self>, first: &'static str, second: &'static str) -> Pair {
        Pair {
            first: self.note(first),
            second: self.note(second),
        }
    }

    /// The names of what was dropped meanwhile, all of it under the lock if there was one.
    #[track_caller]
    fn dropped(&self, under_the_lock: bool) -> Vec<&'static str> {
        let dropped = std::mem::take(&mut *self.dropped.lock().unwrap());
        let in_time = dropped
            .iter()
            .all(|(_, is_held)| *is_held == under_the_lock);
        assert!(in_time, "{dropped:?}");
        self.place.db.wait_for_no_locks();
        dropped.into_iter().map(|(name, _)| name).collect()
    }
}

/// The same function, plain and with the attribute.
macro_rules! twins {
    ($($asyncness:ident)?; $plain:ident, $annotated:ident, $notes:ident; $($body:tt)*) => {
        $($asyncness)? fn $plain $($body)*

        #[pglock::advisory(KEY, using = &$notes.place.here)]
        $($asyncness)? fn $annotated $($body)*
    };
}

twins! { ; plain, annotated, notes;
    (
        notes: &Arc<Notes>,
        pair: Pair,
        _unnamed: Noted,
        (left, _right): (Noted, Noted),
        _: Noted,
        mut moved: Option<Noted>,
        last: Noted,
    ) -> Result<u8, Failure> {
        let inner = notes.note("a local");
        drop(moved.take());
        let length = last.0.len() + left.0.len() + pair.second.0.len() + inner.0.len();
        drop(pair.first);
        Ok(u8::try_from(length)?)
    }
}

twins! { async; plain_async, annotated_async, notes;
    (
        notes: &Arc<Notes>,
        pair: Pair,
        _unnamed: Noted,
        (left, _right): (Noted, Noted),
        _: Noted,
        mut moved: Option<Noted>,
        last: Noted,
    ) -> Result<u8, Failure> {
        let inner = notes.note("a local");
        if notes.waits.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        drop(moved.take());
        let length = last.0.len() + left.0.len() + pair.second.0.len() + inner.0.len();
        drop(pair.first);
        Ok(u8::try_from(length)?)
    }
}

macro_rules! call {
    ($function:ident($notes:ident)) => {
        $function(
            $notes,
            $notes.pair("first", "second"),
            $notes.note("unnamed"),
            ($notes.note("left"), $notes.note("right")),
            $notes.note("a wildcard"),
            Some($notes.note("moved")),
            $notes.note("last"),
        )
    };
}

#[test]
fn arguments_are_dropped_under_the_lock_in_their_order() {
    let notes = &Notes::new();
    call!(plain(notes)).unwrap();
    let order = notes.dropped(false);
    assert_eq!(order.len(), 9);
    call!(annotated(notes)).unwrap();
    assert_eq!(notes.dropped(true), order);
}

#[test]
fn arguments_of_async_functions_are_dropped_under_the_lock_in_their_order() {
    let notes = &Notes::new();
    pollster::block_on(call!(plain_async(notes))).unwrap();
    let order = notes.dropped(false);
    assert_eq!(order.len(), 9);
    pollster::block_on(call!(annotated_async(notes))).unwrap();
    assert_eq!(notes.dropped(true), order);
}

#[test]
fn arguments_of_a_dropped_future_are_dropped_under_the_lock() {
    /// The test's own, one in each of eight arguments, and the one in the local of the body.
    const WITH_THE_LOCAL: usize = 10;

    let notes = &Notes::new();
    notes.waits.store(true, Ordering::Relaxed);
    let mut plain = Box::pin(call!(plain_async(notes)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(plain.as_mut().poll(&mut context).is_pending());
    drop(plain);
    let order = notes.dropped(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut annotated = Box::pin(call!(annotated_async(notes)));
        let has_begun = async {
            while Arc::strong_count(notes) < WITH_THE_LOCAL {
                tokio::task::yield_now().await;
            }
        };
        let has_begun = tokio::time::timeout(BOUND, has_begun);
        tokio::select! {
            _ = &mut annotated => unreachable!(),
            has_begun = has_begun => has_begun.unwrap(),
        }
        drop(annotated);
    });
    assert_eq!(notes.dropped(true), order);
}

#[test]
fn arguments_are_dropped_under_the_lock_when_the_body_panics() {
    #[pglock::advisory(KEY, using = &notes.place.here)]
    fn panics(notes: &Arc<Notes>, _first: Noted, second: Noted) -> Result<(), Error> {
        panic!("on purpose: {}", second.0);
    }

    let notes = &Notes::new();
    let call = || panics(notes, notes.note("first"), notes.note("second"));
    catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    assert_eq!(notes.dropped(true), ["second", "first"]);
}

impl Pair {
    #[pglock::advisory(KEY, using = &notes.place.here)]
    fn consume(self, notes: &Arc<Notes>, _argument: Noted) -> Result<usize, Error> {
        Ok(self.second.0.len())
    }
}

#[test]
fn a_receiver_is_dropped_last_and_under_the_lock() {
    let notes = &Notes::new();
    let pair = notes.pair("first", "second");
    pair.consume(notes, notes.note("argument")).unwrap();
    assert_eq!(notes.dropped(true), ["argument", "first", "second"]);
}

#[test]
fn an_option_may_take_an_argument_or_borrow_it() {
    #[pglock::advisory(lock_id = id, using = here)]
    fn takes(notes: &Arc<Notes>, id: LockId, here: Database, _guard: Noted) -> Result<(), Error> {
        assert_eq!(notes.place.db.held(KEY), 1);
        Ok(())
    }

    #[pglock::advisory(lock_id = parts.1, using = &parts.0)]
    async fn takes_a_part(notes: &Arc<Notes>, parts: (Database, LockId, u8)) -> Result<u8, Error> {
        assert_eq!(notes.place.db.held(KEY), 1);
        Ok(parts.2)
    }

    #[pglock::advisory(lock_id = i64::from(format!("{:?}", name.0).len() == 5), using = &notes.place.here)]
    fn borrows(notes: &Arc<Notes>, name: Noted) -> Result<(), Error> {
        Ok(())
    }

    let notes = &Notes::new();
    let here = || notes.place.here.clone();
    takes(notes, LockId::Key(KEY), here(), notes.note("guard")).unwrap();
    assert_eq!(notes.dropped(true), ["guard"]);
    let parts = (here(), LockId::Key(KEY), 7);
    assert_eq!(pollster::block_on(takes_a_part(notes, parts)).unwrap(), 7);
    borrows(notes, notes.note("abc")).unwrap();
    assert_eq!(notes.dropped(true), ["abc"]);
}

#[test]
fn arguments_are_dropped_under_the_lock_on_a_connection() {
    #[pglock::advisory("outer", using = &notes.place.here)]
    #[pglock::advisory(KEY, client = client)]
    fn on_a_client(
        client: &mut postgres::Client,
        notes: &Arc<Notes>,
        _first: Noted,
        pair: Pair,
    ) -> Result<Noted, Error> {
        Ok(pair.first)
    }

    struct Holder(postgres::Client);

    impl Holder {
        #[pglock::advisory(KEY, client = self.0)]
        fn on_a_place(
            &mut self,
            notes: &Arc<Notes>,
            _first: Noted,
            pair: Pair,
            borrowed: Noted,
            (half, mut changed): (Pair, Vec<Noted>),
            _: Noted,
        ) -> Result<Noted, Error> {
            let Pair { first, second } = pair;
            assert_eq!(notes.place.db.held(KEY), 1);
            assert_eq!(borrowed.0, "borrowed");
            changed.push(half.first);
            drop(second);
            Ok(first)
        }
    }

    let notes = &Notes::new();
    let mut client = notes.place.db.connect();
    let (first, pair) = (notes.note("first"), notes.pair("returned", "second"));
    let returned = on_a_client(&mut client, notes, first, pair).unwrap();
    assert_eq!(notes.dropped(true), ["second", "first"]);
    drop(returned);
    notes.dropped(false);
    let (first, pair) = (notes.note("first"), notes.pair("returned", "second"));
    let (borrowed, wildcard) = (notes.note("borrowed"), notes.note("a wildcard"));
    let parts = (notes.pair("moved half", "other half"), Vec::new());
    let returned = Holder(client)
        .on_a_place(notes, first, pair, borrowed, parts, wildcard)
        .unwrap();
    let order = [
        "second",
        "a wildcard",
        "moved half",
        "other half",
        "borrowed",
        "first",
    ];
    assert_eq!(notes.dropped(true), order);
    drop(returned);
}
