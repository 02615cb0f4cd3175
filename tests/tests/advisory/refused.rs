//! What is refused, and what it is told as.

use std::time::{Duration, Instant};

use pglock::Database;
use pglock_tests::{OWN, database};

use crate::handle;

#[test]
fn a_refused_connection_is_connect_and_comes_at_once() {
    let nowhere = Database::builder("postgres://app@127.0.0.1:1/app")
        .build()
        .unwrap();
    let began = Instant::now();
    let error = pglock::advisory("x")
        .using(&nowhere)
        .timeout(Duration::from_secs(30))
        .acquire()
        .unwrap_err();
    assert!(
        error.is_connect() && error.to_string().contains("nothing listens"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    let error = pglock::advisory("x")
        .using(&nowhere)
        .try_run(|| Ok::<_, pglock::Error>(()))
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_connect() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://app@{}/app?connect_timeout=1",
        silent.local_addr().unwrap()
    );
    let database = Database::builder(url).build().unwrap();
    let began = Instant::now();
    let error = pglock::advisory("x")
        .using(&database)
        .acquire()
        .unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_unreachable_database_is_connect_for_those_who_wait_behind_others_too() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://app@{}/app?connect_timeout=2",
        silent.local_addr().unwrap()
    );
    let database = Database::builder(url).build().unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let lock = pglock::advisory("behind").using(&database);
                    lock.timeout(Duration::from_millis(300)).try_acquire()
                })
            })
            .collect();
        for caller in callers {
            let error = caller.join().unwrap().unwrap_err();
            assert!(error.is_connect(), "{error}");
        }
    });
}

#[test]
fn wrong_options_are_config_and_nothing_is_asked() {
    let db = database();
    let here = handle(&db);
    assert!(
        pglock::advisory("")
            .using(&here)
            .acquire()
            .unwrap_err()
            .is_config()
    );
    let long = Duration::from_secs(60 * 60 * 24 * 30);
    assert!(
        pglock::advisory("x")
            .using(&here)
            .timeout(long)
            .acquire()
            .unwrap_err()
            .is_config()
    );
    assert!(
        pglock::advisory("x")
            .using("nobody")
            .acquire()
            .unwrap_err()
            .is_config()
    );
    assert!(db.backends_named(OWN).is_empty());
}

#[test]
fn a_skip_whose_timeout_is_none_at_run_time_is_refused() {
    use pglock::Error;

    type Limit = Option<Duration>;

    #[pglock::advisory("skip", using = here, timeout = limit, side_effect = Skip)]
    fn skip(here: &Database, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[pglock::advisory("skip", using = here, timeout = limit, side_effect = Skip(Ok(0)))]
    async fn skip_async(here: &Database, limit: Limit) -> Result<u32, Error> {
        Ok(1)
    }

    #[pglock::advisory("skip", client = client, timeout = limit, side_effect = Skip)]
    fn skip_on(client: &mut postgres::Client, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[pglock::advisory("skip", xact, client = tx, timeout = limit, side_effect = Skip)]
    fn skip_in(tx: &mut postgres::Transaction<'_>, limit: Limit) -> Result<Option<u32>, Error> {
        Ok(Some(1))
    }

    #[track_caller]
    fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>) {
        let error = result.expect_err("it would wait without end");
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("never skip"), "{error}");
    }

    let db = database();
    let here = handle(&db);
    let mut client = db.connect();
    let short = Some(Duration::from_millis(1));
    // Also while the lock is free, or the mistake would show late.
    is_refused(skip(&here, None));
    is_refused(pollster::block_on(skip_async(&here, None)));
    is_refused(skip_on(&mut client, None));
    is_refused(skip_in(&mut client.transaction().unwrap(), None));
    assert_eq!(skip(&here, short).unwrap(), Some(1));
    assert_eq!(skip_on(&mut client, short).unwrap(), Some(1));
    let lock = || pglock::advisory("skip").using(&here).timeout(None);
    is_refused(lock().try_acquire());
    is_refused(pollster::block_on(lock().try_acquire_async()));
    is_refused(lock().try_run(|| Ok::<_, Error>(())));
    is_refused(pollster::block_on(
        lock().try_run_async(async { Ok::<_, Error>(()) }),
    ));
    is_refused(lock().on(&mut client).try_acquire().map(drop));
    let mut tx = client.transaction().unwrap();
    is_refused(lock().try_acquire_xact(&mut tx));
    is_refused(pglock::table("pg_class").timeout(None).try_lock(&mut tx));
}
