//! Calls inside calls.

use std::time::Duration;

use pglock::{Database, Error};
use pglock_tests::{OWN, TestDb, database};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

#[test]
fn recursion_reenters_without_sql_and_releases_at_the_last_end() {
    #[pglock::advisory("recursive", using = here)]
    fn countdown(db: &TestDb, here: &Database, n: u32) -> Result<u32, Error> {
        assert_eq!(db.held(pglock::advisory_id("recursive")), 1);
        if n == 0 {
            Ok(0)
        } else {
            Ok(1 + countdown(db, here, n - 1)?)
        }
    }

    let db = database();
    assert_eq!(countdown(&db, &handle(&db), 5).unwrap(), 5);
    assert!(db.advisory_locks().is_empty());
    assert_eq!(db.backends_named(OWN).len(), 1);
}

#[tokio::test]
async fn async_recursion_reenters() {
    #[pglock::advisory("recursive", using = here)]
    async fn countdown(here: &Database, n: u32) -> Result<u32, Error> {
        tokio::task::yield_now().await;
        if n == 0 {
            Ok(0)
        } else {
            Ok(1 + Box::pin(countdown(here, n - 1)).await?)
        }
    }

    let db = database();
    assert_eq!(countdown(&handle(&db), 5).await.unwrap(), 5);
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn shared_inside_exclusive_reenters_and_exclusive_inside_shared_is_refused() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("modes").using(&here);
    let ok = || Ok::<_, Error>(());
    lock().run(|| lock().shared().run(ok)).unwrap();
    lock().shared().run(|| lock().shared().run(ok)).unwrap();
    let error = lock().shared().run(|| lock().run(ok)).unwrap_err();
    assert!(error.is_config(), "{error}");
    let error = lock()
        .shared()
        .run(|| lock().try_run(ok).map(drop))
        .unwrap_err();
    assert!(error.is_config(), "{error}");
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn a_guard_is_not_part_of_a_chain() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("guard").using(&here);
    lock()
        .run(|| {
            assert!(lock().try_acquire()?.is_none());
            let error = lock().acquire().unwrap_err();
            assert!(
                error.is_config() && error.to_string().contains("use `run`"),
                "{error}"
            );
            lock().run(|| Ok::<_, Error>(()))
        })
        .unwrap();
}

#[tokio::test]
async fn siblings_do_not_see_each_others() {
    let db = database();
    let here = handle(&db);
    let order = tokio::sync::Mutex::new(Vec::new());
    let sibling = |name: &'static str| {
        let (here, order) = (&here, &order);
        async move {
            pglock::advisory("sibling")
                .using(here)
                .run_async(async {
                    order.lock().await.push(name);
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    order.lock().await.push(name);
                    Ok::<_, Error>(())
                })
                .await
        }
    };
    let outer = pglock::advisory("outer").using(&here).run_async(async {
        let (one, two) = tokio::join!(sibling("one"), sibling("two"));
        one.and(two)
    });
    outer.await.unwrap();
    let order = order.into_inner();
    assert_eq!(order[0], order[1], "the two overlapped: {order:?}");
    assert_eq!(order[2], order[3], "the two overlapped: {order:?}");
}

#[tokio::test]
async fn spawned_tasks_and_threads_inherit_nothing() {
    let db = database();
    let here = handle(&db);
    pglock::advisory("spawn")
        .using(&here)
        .run_async(async {
            let (task, thread) = (here.clone(), here.clone());
            let tried = tokio::spawn(async move {
                assert!(pglock::check().unwrap_err().is_config());
                pglock::advisory("spawn")
                    .using(&task)
                    .try_run_async(async { Ok::<_, Error>(()) })
                    .await
            });
            assert!(tried.await.unwrap().unwrap().is_none());
            let tried = tokio::task::spawn_blocking(move || {
                pglock::advisory("spawn")
                    .using(&thread)
                    .try_run(|| Ok::<_, Error>(()))
            });
            assert!(tried.await.unwrap().unwrap().is_none());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
}

#[test]
fn another_database_is_another_lock() {
    let (one, two) = (database(), database());
    let (in_one, in_two) = (handle(&one), handle(&two));
    pglock::advisory("same")
        .using(&in_one)
        .run(|| {
            pglock::advisory("same").using(&in_two).run(|| {
                assert_eq!(one.held(pglock::advisory_id("same")), 1);
                assert_eq!(two.held(pglock::advisory_id("same")), 1);
                Ok::<_, Error>(())
            })
        })
        .unwrap();
}

#[test]
fn check_covers_all_enclosing_calls() {
    assert!(pglock::check().unwrap_err().is_config());
    let db = database();
    let here = handle(&db);
    let result = pglock::advisory("outer").using(&here).xact().run(|| {
        let outer = db.advisory_locks()[0].pid;
        pglock::advisory("inner").using(&here).run(|| {
            pglock::check()?;
            db.terminate(outer);
            pglock_tests::wait_until("check says so", Duration::from_secs(1), || {
                pglock::check().is_err()
            });
            Ok::<_, Error>(())
        })
    });
    let over = pglock::check().unwrap_err().to_string();
    assert!(
        over.contains("there is no such call"),
        "the calls are over: {over}"
    );
    let error = result.unwrap_err();
    assert!(
        error.is_lost() && error.to_string().contains("outer"),
        "{error}"
    );
}

#[test]
fn a_nested_call_shares_the_session_of_the_enclosing_one() {
    let db = database();
    let here = handle(&db);
    let ok = pglock::advisory("a").using(&here).run(|| {
        pglock::advisory("b").using(&here).run(|| {
            pglock::advisory("c").using(&here).run(|| {
                assert_eq!(db.advisory_locks().len(), 3);
                assert_eq!(db.backends_named(OWN).len(), 1);
                Ok::<_, Error>(())
            })
        })
    });
    ok.unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn a_call_with_a_client_is_a_call_and_postgres_counts_there() {
    #[pglock::advisory("client", client = client)]
    fn twice(db: &TestDb, client: &mut postgres::Client, n: u32) -> Result<(), Error> {
        let error = pglock::check().unwrap_err();
        assert!(
            error.is_config()
                && error
                    .to_string()
                    .contains("cannot check locks on connections of yours"),
            "{error}"
        );
        if n > 0 {
            twice(db, client, n - 1)?;
        }
        assert_eq!(db.held(pglock::advisory_id("client")), 1);
        Ok(())
    }

    let db = database();
    twice(&db, &mut db.connect(), 2).unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[tokio::test]
async fn a_siblings_release_does_not_wait_behind_anothers_wait() {
    let db = database();
    let here = handle(&db);
    let elsewhere = Database::builder(db.url())
        .application_name("elsewhere")
        .build()
        .unwrap();
    let busy = pglock::advisory("busy")
        .using(&elsewhere)
        .acquire_async()
        .await
        .unwrap();
    let lock = |name: &'static str| pglock::advisory(name).using(&here);
    let outer = lock("outer").run_async(async {
        let first = async {
            let began = std::time::Instant::now();
            let body = async {
                pglock_tests::wait_until_async("the other waits", Duration::from_secs(5), || {
                    db.waiting(pglock::advisory_id("busy")) == 1
                })
                .await;
                Ok::<_, Error>(())
            };
            lock("first").run_async(body).await?;
            assert!(
                began.elapsed() < Duration::from_secs(2),
                "its release took {:?}",
                began.elapsed()
            );
            Ok::<_, Error>(())
        };
        let second = async {
            // Only then is there a lock of a sibling's on the session that they could share.
            pglock_tests::wait_until_async("the first is held", Duration::from_secs(5), || {
                db.held(pglock::advisory_id("first")) == 1
            })
            .await;
            lock("busy")
                .timeout(Duration::from_secs(4))
                .try_run_async(async { Ok::<_, Error>(()) })
                .await
        };
        let (first, second) = tokio::join!(first, second);
        assert!(second?.is_none());
        first
    });
    outer.await.unwrap();
    busy.release_async().await.unwrap();
    db.wait_for_no_locks();
}

#[test]
fn tasks_of_a_runtime_inside_a_blocking_body_inherit_nothing() {
    let db = database();
    let here = handle(&db);
    let result = pglock::advisory("outer").using(&here).run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let there = here.clone();
        runtime.block_on(async move {
            let spawned = tokio::spawn(async move {
                pglock::advisory("outer")
                    .using(&there)
                    .try_run_async(async { Ok::<_, Error>(()) })
                    .await
            });
            assert!(
                spawned.await.unwrap()?.is_none(),
                "a spawned task re-entered"
            );
            // What is driven here is no task, but a part of the body.
            pglock::advisory("outer")
                .using(&here)
                .run_async(async { Ok::<_, Error>(()) })
                .await
        })
    });
    result.unwrap();
}

/// As `rayon::join` does it: while a body waits, its thread runs another job.
#[test]
fn a_call_inside_one_that_is_not_reentrant_is_refused() {
    #[pglock::advisory("job", using = here, reentrant = false)]
    fn job(here: &Database, inside: &dyn Fn() -> Result<u32, Error>) -> Result<u32, Error> {
        inside()
    }

    #[pglock::advisory("job", using = here, reentrant = false)]
    async fn async_job(here: &Database) -> Result<u32, Error> {
        Ok(1)
    }

    #[track_caller]
    fn is_refused(result: Result<u32, Error>) {
        let error = result.unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("`reentrant`"), "{error}");
    }

    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory("job").using(&here);
    let one = || Ok::<_, Error>(1);
    assert_eq!(job(&here, &one).unwrap(), 1);
    is_refused(job(&here, &|| job(&here, &one)));
    is_refused(job(&here, &|| pollster::block_on(async_job(&here))));
    // Either of the two says so.
    is_refused(job(&here, &|| lock().run(one)));
    is_refused(lock().run(|| job(&here, &one)));
    is_refused(lock().run(|| lock().xact().reentrant(false).run(one)));
    is_refused(job(&here, &|| Ok(lock().try_run(one)?.unwrap_or(0))));
    let other = || pglock::advisory("other").using(&here).run(one);
    assert_eq!(job(&here, &other).unwrap(), 1);
    db.wait_for_no_locks();
}
