//! Through a real `PgBouncer`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pglock::{Database, Error, LockId, advisory, advisory_id};
use pglock_tests::{BOUND, PgBouncer, TestDb, background, wait_until_async};
use postgres::{Client, NoTls};

use crate::{assert_refused, handle, server};

fn pooler(mode: &str, size: usize, extra: &[(&str, &str)]) -> PgBouncer {
    let size = size.to_string();
    let own = [("pool_mode", mode), ("default_pool_size", &*size)];
    PgBouncer::start(server(), &[&own[..], extra].concat())
}

fn through(bouncer: &PgBouncer, db: &TestDb) -> Client {
    Client::connect(&bouncer.url(db.name()), NoTls).unwrap()
}

/// Runs `work` while other clients of the pool do short transactions.
fn under_load<T>(clients: usize, bouncer: &PgBouncer, db: &TestDb, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = through(bouncer, db);
                while !stop.load(Ordering::Relaxed) {
                    client
                        .batch_execute("BEGIN; SELECT pg_sleep(0.001); COMMIT")
                        .unwrap();
                    client.batch_execute("SELECT 1").unwrap();
                }
            });
        }
        // Also when `work` panics: the scope waits for the clients.
        let _stop = Stop(&stop);
        work()
    })
}

fn is_always_refused(bouncer: &PgBouncer, db: &TestDb, rounds: usize) {
    let here = handle(&bouncer.url(db.name()));
    for _ in 0..rounds {
        let error = advisory("pooled").using(&here).acquire().unwrap_err();
        assert_refused(
            &error,
            &["pooler", "use `xact`", "directly", "session mode"],
        );
        assert_eq!(db.held(advisory_id("pooled")), 0);
    }
}

#[test]
fn a_session_lock_is_refused_in_transaction_mode() {
    for servers in [1, 2, 5] {
        for clients in [0, 1, 2 * servers] {
            let db = server().create_database();
            let bouncer = pooler("transaction", servers, &[]);
            under_load(clients, &bouncer, &db, || {
                is_always_refused(&bouncer, &db, 15);
            });
            db.wait_for_no_locks();
        }
    }
}

#[test]
fn a_session_lock_is_refused_where_servers_are_given_in_turn() {
    for servers in [2, 3] {
        let db = server().create_database();
        let bouncer = pooler("transaction", servers, &[("server_round_robin", "1")]);
        // Fills the pool.
        under_load(2 * servers, &bouncer, &db, || {
            is_always_refused(&bouncer, &db, 5);
        });
        is_always_refused(&bouncer, &db, 15);
    }
}

#[test]
fn a_session_lock_is_refused_in_statement_mode() {
    let db = server().create_database();
    is_always_refused(&pooler("statement", 2, &[]), &db, 5);
}

#[test]
fn a_refusal_leaves_no_setting_in_the_pool() {
    let db = server().create_database();
    let bouncer = pooler("transaction", 1, &[]);
    db.execute(&format!(
        "ALTER DATABASE {} SET statement_timeout = '17s'",
        db.name()
    ));
    is_always_refused(&bouncer, &db, 1);
    let rows = through(&bouncer, &db)
        .simple_query("SHOW statement_timeout")
        .unwrap();
    let value = rows.iter().find_map(|row| match row {
        postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(value, Some("17s"));
}

#[test]
fn xact_locks_work_in_transaction_mode() {
    for clients in [0, 6] {
        let db = server().create_database();
        let bouncer = pooler("transaction", 3, &[]);
        let here = handle(&bouncer.url(db.name()));
        let direct = handle(db.url());
        under_load(clients, &bouncer, &db, || {
            for _ in 0..20 {
                let guard = advisory("xact").xact().using(&here).acquire().unwrap();
                assert_eq!(db.held(advisory_id("xact")), 1);
                for other in [&here, &direct] {
                    let again = advisory("xact").xact().using(other).try_acquire();
                    assert!(again.unwrap().is_none());
                }
                let error = advisory("xact")
                    .xact()
                    .using(&here)
                    .timeout(Duration::from_millis(20))
                    .acquire()
                    .unwrap_err();
                assert!(error.is_busy(), "{error:?}");
                guard.check().unwrap();
                guard.release().unwrap();
            }
        });
        db.wait_for_no_locks();
    }
}

#[test]
fn one_xact_lock_works_with_a_pool_of_one() {
    let db = server().create_database();
    let bouncer = pooler("transaction", 1, &[]);
    let here = handle(&bouncer.url(db.name()));
    for _ in 0..20 {
        let guard = advisory("xact").xact().using(&here).acquire().unwrap();
        assert_eq!(db.held(advisory_id("xact")), 1);
        guard.release().unwrap();
    }
    db.wait_for_no_locks();
}

/// Whose backend a wait has behind a pooler nobody knows: another's wait for the same lock must not be canceled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_xact_wait_ends_and_cancels_nobody_else() {
    let db = server().create_database();
    let bouncer = pooler("transaction", 6, &[]);
    let held = advisory("wait")
        .xact()
        .using(handle(db.url()))
        .acquire_async()
        .await
        .unwrap();
    // Handles that differ are processes of their own to pglock. Both are greeted by the pool's one idle backend.
    let greeted = async |name: &str| {
        let here = pglock::Database::builder(bouncer.url(db.name()).as_str())
            .application_name(name)
            .build()
            .unwrap();
        let first = advisory("greeting").xact().using(&here).acquire_async();
        first.await.unwrap().release_async().await.unwrap();
        here
    };
    let (stays, goes) = (greeted("stays").await, greeted("goes").await);
    let wait =
        |here| tokio::spawn(async { advisory("wait").xact().using(here).acquire_async().await });
    let stays = wait(stays);
    wait_until_async("one waits", BOUND, || db.waiting(advisory_id("wait")) == 1).await;
    let goes = wait(goes);
    wait_until_async("two wait", BOUND, || db.waiting(advisory_id("wait")) == 2).await;
    goes.abort();
    wait_until_async("one waits", BOUND, || db.waiting(advisory_id("wait")) == 1).await;
    held.release_async().await.unwrap();
    stays.await.unwrap().unwrap().release_async().await.unwrap();
    wait_until_async("no lock is left", BOUND, || db.advisory_locks().is_empty()).await;
}

#[test]
fn session_mode_is_never_accused() {
    let variants: [&[(&str, &str)]; 3] = [
        &[],
        &[
            ("server_reset_query", "DISCARD ALL"),
            ("server_reset_query_always", "1"),
        ],
        &[("server_round_robin", "1")],
    ];
    for more in variants {
        let db = server().create_database();
        let bouncer = pooler("session", 30, more);
        let here = handle(&bouncer.url(db.name()));
        under_load(3, &bouncer, &db, || {
            for _ in 0..6 {
                // Idle sessions are kept up to eight; the others are new, on servers that were used before.
                let guards: Vec<_> = (0..18)
                    .map(|key| advisory(key).using(&here).acquire().unwrap())
                    .collect();
                assert_eq!(db.advisory_locks().len(), 18);
                for guard in guards {
                    guard.release().unwrap();
                }
            }
        });
        db.wait_for_no_locks();
    }
}

/// A second session has to wait there, and that is no proof.
/// A second session gets no server, so nothing can be asked beside a wait.
#[test]
fn a_call_keeps_its_lock_while_one_in_it_waits_in_a_session_pool_of_two() {
    let db = server().create_database();
    let bouncer = pooler("session", 2, &[]);
    let here = Database::builder(bouncer.url(db.name()))
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    let mut client = db.connect();
    let inner = advisory("inner").on(&mut client).acquire().unwrap();
    let outer = background("the outer call ends", move || {
        advisory("outer").using(&here).run(|| {
            advisory("inner").using(&here).run(|| Ok::<_, Error>(()))?;
            pglock::check()
        })
    });
    db.wait_for_waiters(1);
    // What is measured is that it is held all this time, in which the server is asked for in vain.
    thread::sleep(Duration::from_secs(4));
    assert_eq!(db.held(advisory_id("outer")), 1);
    inner.release().unwrap();
    outer.finish(BOUND).unwrap();
}

#[test]
fn session_mode_with_one_server_is_not_accused() {
    let db = server().create_database();
    let bouncer = pooler("session", 1, &[]);
    let here = handle(&bouncer.url(db.name()));
    let guard = advisory("alone").using(&here).acquire().unwrap();
    assert_eq!(db.held(advisory_id("alone")), 1);
    guard.release().unwrap();
    assert_eq!(db.held(advisory_id("alone")), 0);
}

/// Runs `work` under the lock "outer", whose session a pooler has begun to move: its server is taken by another client.
fn moved(
    work: impl FnOnce(&TestDb, &PgBouncer, &pglock::Database) -> Result<(), Error>,
) -> (TestDb, Error) {
    let db = server().create_database();
    let bouncer = pooler("session", 4, &[]);
    let here = handle(&bouncer.url(db.name()));
    let mut other = None;
    let outer = advisory("outer").using(&here).run(|| {
        bouncer.reload(&[("pool_mode", "transaction"), ("default_pool_size", "4")]);
        let lock = db.advisory_locks()[0].pid;
        // The first statement after that still has the session's server, and gives it to the pool.
        advisory("first").using(&here).run(|| Ok::<(), Error>(()))?;
        let mut aside = Vec::new();
        other = Some(loop {
            let mut tx = through(&bouncer, &db);
            tx.batch_execute("BEGIN").unwrap();
            if pglock_tests::pid_of(&mut tx) == lock {
                break tx;
            }
            aside.push(tx);
        });
        drop(aside);
        work(&db, &bouncer, &here)
    });
    assert!(other.is_some());
    (db, outer.unwrap_err())
}

#[test]
fn a_pool_that_begins_to_multiplex_is_found_by_the_next_lock() {
    let (db, error) = moved(|db, _, here| {
        let error = advisory("inner")
            .using(here)
            .run(|| -> Result<(), Error> { panic!("the lock is on another server") })
            .unwrap_err();
        assert_eq!(db.held(advisory_id("inner")), 0);
        Err(error)
    });
    assert_refused(&error, &["pooler", "use `xact`"]);
    db.wait_for_no_locks();
}

#[test]
fn a_pool_that_begins_to_multiplex_is_found_by_the_release() {
    let (db, error) = moved(|_, _, _| Ok(()));
    assert!(error.is_lost() && error.body_finished(), "{error:?}");
    assert!(error.to_string().contains("pooler"), "{error}");
    db.wait_for_no_locks();
}

#[test]
fn a_startup_parameter_that_the_pooler_refuses_is_explained() {
    let db = server().create_database();
    let bouncer = pooler("transaction", 1, &[]);
    let url = format!(
        "{}?options=-cstatement_timeout%3D5s",
        bouncer.url(db.name())
    );
    let lock = || {
        advisory(LockId::from(1))
            .xact()
            .using(handle(&url))
            .acquire()
    };
    let error = lock().unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(
        error.to_string().contains("ignore_startup_parameters"),
        "{error:?}"
    );
    bouncer.reload(&[
        ("pool_mode", "transaction"),
        ("ignore_startup_parameters", "options"),
    ]);
    lock().unwrap().release().unwrap();
}

#[test]
fn a_lock_timeout_is_not_restored_on_another_backend() {
    fn shown(client: &mut impl postgres::GenericClient) -> (String, String) {
        let sql = "SELECT pg_backend_pid(), current_setting('lock_timeout')";
        for message in client.simple_query(sql).unwrap() {
            if let postgres::SimpleQueryMessage::Row(row) = message {
                return (
                    row.get(0).unwrap().to_owned(),
                    row.get(1).unwrap().to_owned(),
                );
            }
        }
        panic!("no row")
    }

    let db = server().create_database();
    let bouncer = pooler("transaction", 2, &[]);
    let (mut client, mut other) = (through(&bouncer, &db), through(&bouncer, &db));
    // Two backends, with a setting that is to stay.
    let mut first = client.transaction().unwrap();
    let mut second = other.transaction().unwrap();
    let (one, two) = (shown(&mut first).0, shown(&mut second).0);
    assert_ne!(one, two);
    first.batch_execute("SET lock_timeout = '7s'").unwrap();
    second.batch_execute("SET lock_timeout = '7s'").unwrap();
    first.commit().unwrap();
    second.commit().unwrap();

    let mut scope = pglock::timeout(Duration::from_secs(3))
        .on(&mut client)
        .unwrap();
    // Another client takes the backend that it was set on.
    let mut held = other.transaction().unwrap();
    let (taken, seen) = shown(&mut held);
    assert_eq!(seen, "3s", "the pool gave the other backend");
    let (moved_to, before) = shown(&mut *scope);
    assert_ne!(moved_to, taken);
    let error = scope.restore().unwrap_err();
    assert!(error.is_environment(), "{error}");
    assert!(error.to_string().contains("SET LOCAL"), "{error}");
    assert_eq!(
        shown(&mut client),
        (moved_to, before),
        "the restore set something"
    );
    held.commit().unwrap();

    // In a transaction it is as promised.
    let mut tx = client.transaction().unwrap();
    let mut scope = pglock::timeout(Duration::from_secs(2)).on(&mut tx).unwrap();
    assert_eq!(shown(&mut *scope).1, "2s");
    scope.restore().unwrap();
    tx.commit().unwrap();
}
