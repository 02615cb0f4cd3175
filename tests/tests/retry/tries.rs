//! What each try does, on a blocking connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pglock::{Blocked, Database, Error, Escalate, PrioritizeSideEffect, Terminate};
use pglock_tests::{BOUND, pid_of, wait_until};
use postgres::Client;
use postgres::error::SqlState;

use crate::{ALTER, AnyError, Report, SECOND, assert_names, database, lock_timeout, retry};

#[test]
fn the_last_error_names_who_was_in_the_way() {
    let db = database();
    let (report, mut client) = (Report::begin(&db), db.connect());
    let began = Instant::now();
    let mut runs = 0;
    let error = retry(&db)
        .tries(4)
        .run(&mut client, |client| -> Result<(), AnyError> {
            runs += 1;
            Ok(client.batch_execute(ALTER)?)
        })
        .unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert_names(error, &report);
    assert_eq!(error.sql_state(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    assert!(format!("{error:?}").contains("caused by: "), "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(runs, 4);
    // 100, 112, 125 and 141 ms, and three pauses.
    assert!(began.elapsed() >= Duration::from_millis(478 + 120));
}

#[test]
fn it_succeeds_once_the_other_one_lets_go() {
    let db = database();
    let (mut report, mut client) = (Report::begin(&db), db.connect());
    let pid = pid_of(&mut client);
    let runs = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            retry(&db).run(&mut client, |client| -> Result<_, AnyError> {
                runs.fetch_add(1, Ordering::SeqCst);
                client.batch_execute(ALTER)?;
                Ok(lock_timeout(client))
            })
        });
        wait_until("it waits in a later try", BOUND, || {
            runs.load(Ordering::SeqCst) > 1 && db.blocked_pids().contains(&pid)
        });
        report.commit().unwrap();
        let within = run.join().unwrap().unwrap();
        assert!(within != "0" && within != "100ms", "{within}");
    });
    assert_eq!(lock_timeout(&mut client), "0");
}

#[test]
fn lock_timeouts_grow_up_to_the_longest_and_are_put_back() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SET lock_timeout = '7s'").unwrap();
    let mut holder = db.connect();
    let held = pglock::advisory(1).on(&mut holder).acquire().unwrap();
    let shown = |retry: pglock::RetryLocks, client: &mut Client| {
        let mut shown = Vec::new();
        let error = retry
            .run(client, |client| -> Result<(), AnyError> {
                shown.push(lock_timeout(client));
                let now = Duration::ZERO;
                let lock = pglock::advisory(1).timeout(now).on(client).acquire()?;
                Ok(lock.release()?)
            })
            .unwrap_err();
        assert!(error.downcast_ref::<Error>().unwrap().is_busy(), "{error}");
        shown
    };
    let retry = retry(&db);
    assert_eq!(
        shown(retry.clone().tries(3), &mut client),
        ["100ms", "112ms", "125ms"]
    );
    assert_eq!(
        shown(
            retry.clone().tries(2).longest(Duration::from_millis(20)),
            &mut client
        ),
        ["20ms", "20ms"]
    );
    assert_eq!(
        shown(retry.clone().tries(2).unbounded_last(true), &mut client),
        ["100ms", "0"]
    );
    // Time for what it cancels to end by itself.
    let escalate = Escalate::new().after(2 * SECOND);
    let of_second = shown(retry.tries(2).prioritize_from(2, escalate), &mut client);
    assert_eq!(of_second[0], "100ms");
    assert!(of_second[1].starts_with("21"), "{of_second:?}");
    assert_eq!(lock_timeout(&mut client), "7s");
    held.release().unwrap();
}

#[test]
fn no_transaction_is_open_during_a_pause() {
    let db = database();
    let (_report, mut client) = (Report::begin(&db), db.connect());
    let pid = pid_of(&mut client);
    let mut observer = db.connect();
    // The pause after the last of these but one is longer than half a second.
    let tries = 12;
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let error = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let retry = retry(&db).tries(tries).longest(Duration::from_millis(20));
            retry.run(&mut client, |client| -> Result<(), AnyError> {
                begun.fetch_add(1, Ordering::SeqCst);
                client.batch_execute("BEGIN; SAVEPOINT here")?;
                let altered = client.batch_execute(ALTER);
                // It is open, and not aborted.
                client.batch_execute("ROLLBACK TO here")?;
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(altered?)
            })
        });
        let mut in_last_pause = || {
            let is_last = |of: &AtomicUsize| of.load(Ordering::SeqCst) == 11;
            let sql = "SELECT state = 'idle' AND xact_start IS NULL \
                AND query LIKE 'SELECT pg_catalog.set_config(''lock_timeout'',%' FROM pg_stat_activity WHERE pid = $1";
            let is_idle: bool = observer.query_one(sql, &[&pid]).unwrap().get(0);
            is_last(&begun) && is_last(&ended) && is_idle
        };
        wait_until("it is idle in a pause", BOUND, &mut in_last_pause);
        run.join().unwrap().unwrap_err()
    });
    assert!(error.downcast_ref::<Error>().unwrap().is_busy(), "{error}");
}

#[test]
fn it_refuses_to_run_in_a_transaction_of_the_callers() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SET lock_timeout = '7s'; BEGIN; SELECT 1")
        .unwrap();
    let mut runs = 0;
    let error = retry(&db)
        .run(&mut client, |_| -> Result<(), Error> {
            runs += 1;
            Ok(())
        })
        .unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(runs, 0);
    client.batch_execute("SELECT 1").unwrap();
    assert_eq!(lock_timeout(&mut client), "7s");
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(lock_timeout(&mut client), "7s");
}

#[test]
fn from_the_given_try_on_who_is_in_the_way_is_terminated() {
    let db = database();
    let (mut report, mut client) = (Report::begin(&db), db.connect());
    let mut runs = 0;
    retry(&db)
        .tries(12)
        .prioritize_from(3, Terminate)
        .run(&mut client, |client| -> Result<(), AnyError> {
            runs += 1;
            Ok(client.batch_execute(ALTER)?)
        })
        .unwrap();
    assert!(runs >= 3, "{runs}");
    report.commit().unwrap_err();
}

#[test]
fn a_side_effect_that_failed_is_an_error_also_where_the_body_did_not() {
    struct Fails;

    impl PrioritizeSideEffect for Fails {
        fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
            blocked.terminate()?;
            Err(Error::side_effect("a test asked for it"))
        }
    }

    let db = database();
    let (_report, mut client) = (Report::begin(&db), db.connect());
    let retry = retry(&db).tries(2).prioritize_from(1, Fails);
    let mut altered = 0;
    let error = retry
        .run(&mut client, |client| -> Result<(), AnyError> {
            let mut patient = pglock::timeout(10 * SECOND).on(client)?;
            patient.batch_execute(ALTER)?;
            altered += 1;
            Ok(patient.restore()?)
        })
        .unwrap_err();
    assert_eq!(altered, 1);
    assert!(error.downcast_ref::<Error>().unwrap().is_side_effect());
    assert_eq!(lock_timeout(&mut client), "0");
}

#[test]
fn waits_on_sessions_of_pglocks_own_are_prioritized_too() {
    let db = database();
    let (mut client, mut holder) = (db.connect(), db.connect());
    let here = Database::builder(db.url()).build().unwrap();
    holder.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    retry(&db)
        .tries(2)
        .prioritize_from(1, Terminate)
        .run(&mut client, |_| -> Result<(), Error> {
            let lock = pglock::advisory(1).using(&here).timeout(3 * SECOND);
            lock.acquire()?.release()
        })
        .unwrap();
    holder.batch_execute("SELECT 1").unwrap_err();
}

#[test]
fn without_a_watcher_it_tries_all_the_same_and_says_why_it_names_nobody() {
    let db = database();
    let (_report, mut client) = (Report::begin(&db), db.connect());
    let elsewhere = pglock_tests::database();
    let elsewhere = Database::builder(elsewhere.url()).build().unwrap();
    let retry = pglock::retry_locks().tries(2).using(&elsewhere);
    let alter = |client: &mut Client| -> Result<(), AnyError> { Ok(client.batch_execute(ALTER)?) };
    let error = retry.clone().run(&mut client, alter).unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert!(error.is_busy() && error.holder().is_none(), "{error:?}");
    assert!(error.to_string().contains("not known, because"), "{error}");

    let signals = retry.prioritize_from(2, Terminate);
    let error = signals.run(&mut client, alter).unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert!(!error.is_busy(), "{error:?}");
    assert_eq!(lock_timeout(&mut client), "0");
}

#[test]
fn a_panic_leaves_no_setting_behind() {
    let db = database();
    let mut client = db.connect();
    let run = std::panic::AssertUnwindSafe(|| {
        retry(&db).run(&mut client, |client| -> Result<(), Error> {
            assert_eq!(lock_timeout(client), "100ms");
            panic!("a test asked for it")
        })
    });
    std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(lock_timeout(&mut client), "0");
}

#[test]
fn options_that_cannot_work_are_errors_before_the_first_try() {
    let db = database();
    let mut client = db.connect();
    for retry in [
        retry(&db).tries(0),
        retry(&db).longest(Duration::ZERO),
        retry(&db).longest(Duration::MAX),
        retry(&db).prioritize_from(0, Terminate),
        retry(&db).tries(3).prioritize_from(4, Terminate),
    ] {
        let run = retry.run(&mut client, |_| -> Result<(), Error> { unreachable!() });
        let error = run.unwrap_err();
        assert!(error.is_config(), "{error}");
        assert_eq!(lock_timeout(&mut client), "0");
    }
}
