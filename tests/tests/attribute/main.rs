//! `#[pglock::advisory]` between two processes: every option, blocking and async, and the default database.

mod databases;
mod errors;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pglock::{Error, LockId};
use pglock_tests::{BOUND, Child, TestDb, child, database, wait_until};

const BUSY: i64 = -42;

/// The tests of this file share a database, so that the functions need no handle.
static DB: LazyLock<TestDb> = LazyLock::new(|| {
    let db = database();
    pglock::configure(db.url()).unwrap();
    db
});

mod jobs {
    use super::{BUSY, Duration, Error, LockId};

    type Result<T> = std::result::Result<T, Error>;

    fn from_expression() -> LockId {
        LockId::Name("expression".into())
    }

    #[pglock::advisory]
    pub(super) fn default_id() -> Result<&'static str> {
        Ok(module_path!())
    }

    #[pglock::advisory(BUSY, timeout = 0)]
    pub(super) fn integer() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory(-42, timeout = 0.2)]
    pub(super) fn negative_literal() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory((-1, 2), timeout = 0)]
    pub(super) fn pair() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("customer-{customer}", timeout = 0)]
    pub(super) fn template(customer: u32) -> Result<u32> {
        Ok(customer)
    }

    #[pglock::advisory(lock_id = from_expression(), timeout = Duration::from_millis(1))]
    pub(super) fn expression() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = 2)]
    pub(super) fn two_seconds() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = None)]
    pub(super) fn without_end() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = 0, side_effect = Skip)]
    pub(super) fn skip() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = "50ms", side_effect = pglock::Skip)]
    pub(super) fn skip_option() -> Result<Option<u32>> {
        Ok(Some(1))
    }

    #[pglock::advisory("job", timeout = 0, side_effect = Skip(Ok(asked.len())))]
    pub(super) fn skip_value(asked: &str) -> Result<usize> {
        assert!(!asked.is_empty());
        Ok(0)
    }

    #[pglock::advisory("job", shared, timeout = 0)]
    pub(super) fn shared() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", xact, timeout = 0)]
    pub(super) fn xact() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = 0, on_error = Panic)]
    pub(super) fn panics() -> u32 {
        7
    }

    #[pglock::advisory("job", timeout = 0, on_error = |error| error.to_string())]
    pub(super) fn own_error() -> String {
        "ran".to_owned()
    }

    #[pglock::advisory("job", timeout = 0)]
    pub(super) async fn raise_async() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = "2s")]
    pub(super) async fn two_seconds_async() -> Result<()> {
        Ok(())
    }

    #[pglock::advisory("job", timeout = 0, side_effect = Skip)]
    pub(super) async fn skip_async() -> Result<Option<u32>> {
        Ok(Some(1))
    }

    #[pglock::advisory("job", timeout = 0, side_effect = Skip(Ok(asked.len())))]
    pub(super) async fn skip_value_async(asked: &str) -> Result<usize> {
        assert!(!asked.is_empty());
        Ok(0)
    }
}

/// In the other process: holds each of the locks that it is told of, one at a time.
fn hold_on_command() {
    pglock::configure(child::argument("URL")).unwrap();
    while let Some(line) = child::hear() {
        let lock = match line.split(' ').collect::<Vec<_>>()[..] {
            ["name", name] => pglock::advisory(name),
            ["shared", name] => pglock::advisory(name).shared(),
            ["key", key] => pglock::advisory(key.parse::<i64>().unwrap()),
            ["pair", first, second] => pglock::advisory((
                first.parse::<i32>().unwrap(),
                second.parse::<i32>().unwrap(),
            )),
            _ => panic!("{line}"),
        };
        let guard = lock.acquire().unwrap();
        child::say("held");
        assert_eq!(child::hear().as_deref(), Some("release"));
        guard.release().unwrap();
        child::say("released");
    }
}

/// Another process, and what it holds.
struct Other(Child);

impl Other {
    fn start(test: &str) -> Self {
        Self(Child::of(test, "holder").argument("URL", DB.url()).start())
    }

    /// Runs `check` while the other process holds `lock`.
    fn while_held<T>(&mut self, lock: &str, check: impl FnOnce() -> T) -> T {
        self.0.send_line(lock);
        self.0.wait_for_line("held", BOUND);
        let checked = check();
        self.0.send_line("release");
        self.0.wait_for_line("released", BOUND);
        checked
    }
}

fn is_busy<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| error.is_busy() && error.holder().is_some())
}

#[test]
fn ids_mean_the_same_lock_in_both_processes() {
    if child::role().is_some() {
        return hold_on_command();
    }
    let mut other = Other::start("ids_mean_the_same_lock_in_both_processes");
    let held = |key: (u32, u32)| DB.held(key) == 1;
    assert!(
        other.while_held("key -42", || held(pglock::advisory_id(BUSY))
            && is_busy(jobs::integer()))
    );
    assert!(other.while_held("key -42", || is_busy(jobs::negative_literal())));
    assert!(other.while_held("pair -1 2", || is_busy(jobs::pair())));
    assert!(
        other.while_held("name customer-7", || is_busy(jobs::template(7))
            && jobs::template(8).is_ok())
    );
    assert!(other.while_held("name expression", || is_busy(jobs::expression())));
    for result in [
        jobs::integer(),
        jobs::negative_literal(),
        jobs::pair(),
        jobs::expression(),
    ] {
        result.unwrap();
    }
}

#[test]
fn busy_is_what_the_options_say() {
    if child::role().is_some() {
        return hold_on_command();
    }
    let mut other = Other::start("busy_is_what_the_options_say");
    other.while_held("name job", || {
        jobs::skip().unwrap();
        assert_eq!(jobs::skip_option().unwrap(), None);
        assert_eq!(jobs::skip_value("four").unwrap(), 4);
        assert!(is_busy(jobs::shared()));
        assert!(is_busy(jobs::xact()));
        let panic = std::panic::catch_unwind(jobs::panics).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(
            text.contains("is busy") && text.contains("\n  hint: "),
            "{text}"
        );
        assert!(jobs::own_error().contains("is busy"));
        let began = Instant::now();
        assert!(is_busy(jobs::two_seconds()));
        assert!(
            began.elapsed() >= Duration::from_secs(2) && began.elapsed() < Duration::from_secs(4)
        );
        pollster::block_on(async {
            assert!(is_busy(jobs::raise_async().await));
            assert_eq!(jobs::skip_async().await.unwrap(), None);
            assert_eq!(jobs::skip_value_async("four").await.unwrap(), 4);
            let began = Instant::now();
            assert!(is_busy(jobs::two_seconds_async().await));
            assert!(
                began.elapsed() >= Duration::from_secs(2)
                    && began.elapsed() < Duration::from_secs(4)
            );
        });
    });
    other.while_held("shared job", || {
        jobs::shared().unwrap();
        assert!(is_busy(jobs::xact()));
    });
    jobs::skip().unwrap();
    assert_eq!(jobs::skip_option().unwrap(), Some(1));
    assert_eq!(jobs::skip_value("four").unwrap(), 0);
    jobs::xact().unwrap();
    assert_eq!(jobs::panics(), 7);
    assert_eq!(jobs::own_error(), "ran");
    pollster::block_on(async {
        jobs::raise_async().await.unwrap();
        assert_eq!(jobs::skip_async().await.unwrap(), Some(1));
        assert_eq!(jobs::skip_value_async("four").await.unwrap(), 0);
    });
    // The call that waits without end goes on as soon as the other process lets it.
    other.0.send_line("name job");
    other.0.wait_for_line("held", BOUND);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(jobs::without_end);
        wait_until("it waits", BOUND, || {
            DB.waiting(pglock::advisory_id("job")) == 1
        });
        other.0.send_line("release");
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn the_default_id_is_the_path_and_visible_in_pg_locks() {
    #[pglock::advisory]
    fn here() -> Result<usize, Error> {
        let path = concat!(module_path!(), "::here");
        Ok(DB.held(pglock::advisory_id(path)))
    }

    LazyLock::force(&DB);
    assert_eq!(here().unwrap(), 1);
    assert_eq!(jobs::default_id().unwrap(), "attribute::jobs");
}

struct One;
struct Two;

impl One {
    #[pglock::advisory]
    fn job() -> Result<(), Error> {
        Ok(())
    }
}

impl Two {
    #[pglock::advisory]
    fn job() -> Result<(), Error> {
        Ok(())
    }

    #[pglock::advisory("explicit")]
    fn explicit() -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn functions_that_would_share_a_default_id_are_refused_at_the_first_call() {
    LazyLock::force(&DB);
    for error in [One::job().unwrap_err(), Two::job().unwrap_err()] {
        assert!(error.is_config(), "{error}");
        let text = error.to_string();
        let places: Vec<_> = text.matches("attribute/main.rs:").collect();
        assert_eq!(places.len(), 2, "both places are named: {text}");
    }
    Two::explicit().unwrap();
}

#[test]
fn a_generic_function_is_one_function() {
    #[pglock::advisory]
    fn generic<T: Default>() -> Result<T, Error> {
        Ok(T::default())
    }

    LazyLock::force(&DB);
    assert_eq!(generic::<u8>().unwrap(), 0);
    assert_eq!(generic::<String>().unwrap(), "");
}
