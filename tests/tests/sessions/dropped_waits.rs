//! A wait inside a call that is dropped where no session can be opened to cancel it.

use std::pin::pin;
use std::time::{Duration, Instant};

use pglock::{Advisory, Database, Error};
use pglock_tests::{BOUND, PgBouncer, Proxy, Server, TestDb, wait_until_async};
use postgres::NoTls;

use crate::{SERVER, hold, runtime};

/// Begins to wait for a lock that somebody holds, and goes away when `gone` is done.
async fn wait_and_go_away(db: &TestDb, lock: Advisory, gone: impl Future<Output = ()>) {
    let mut wait = pin!(lock.acquire_async());
    tokio::select! {
        guard = &mut wait => panic!("somebody holds it: {guard:?}"),
        () = wait_until_async("it waits", BOUND, || !db.blocked_pids().is_empty()) => {}
    }
    // The wait is not polled any more, as where a task is aborted.
    gone.await;
}

/// A call whose inner wait is dropped, and which takes another lock after that.
/// `before` is done when the inner one waits.
async fn drop_an_inner_wait(db: &TestDb, here: &Database, before: impl Future<Output = ()>) {
    let lock = |name| pglock::advisory(name).using(here);
    let outer = lock("outer").run_async(async {
        wait_and_go_away(db, lock("inner"), before).await;
        wait_until_async("it waits no longer", Duration::from_secs(1), || {
            db.blocked_pids().is_empty()
        })
        .await;
        // On the session of the outer one.
        let began = Instant::now();
        let after = || lock("after").run_async(async { Ok::<_, Error>(()) });
        while let Err(error) = after().await {
            assert!(error.is_connect() && began.elapsed() < BOUND, "{error}");
        }
        pglock::check()
    });
    outer.await.unwrap();
}

/// A handle that asks for a session for three seconds only. Two of them go by in a pool of one, where a second session is
/// asked for too, to look what kind of pool it is.
fn brief(url: &str) -> Database {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.connect_timeout(Duration::from_secs(3));
    Database::builder(config).build().unwrap()
}

#[test]
fn a_dropped_wait_on_a_full_server_is_canceled_and_the_outer_lock_is_kept() {
    let server = Server::builder().setting("max_connections", "8").start();
    let db = server.create_database();
    let here = brief(db.url());
    let _release = hold(&db, "inner");
    // The session that looks on is there before the server is full.
    assert!(db.blocked_pids().is_empty());
    let mut others = Vec::new();
    runtime().block_on(async {
        let fill = async {
            while let Ok((client, connection)) = tokio_postgres::connect(db.url(), NoTls).await {
                tokio::spawn(connection);
                others.push(client);
            }
        };
        Box::pin(drop_an_inner_wait(&db, &here, fill)).await;
    });
}

#[test]
fn a_dropped_wait_behind_a_session_pool_of_two_is_canceled_and_the_outer_lock_is_kept() {
    let db = SERVER.create_database();
    let pool = [("pool_mode", "session"), ("default_pool_size", "2")];
    let bouncer = PgBouncer::start(&SERVER, &pool);
    let here = brief(&bouncer.url(db.name()));
    let _release = hold(&db, "inner");
    runtime().block_on(drop_an_inner_wait(&db, &here, async {}));
}

#[test]
fn a_dropped_wait_is_canceled_where_logins_are_slow() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let release = hold(&db, "inner");
    runtime().block_on(async {
        let lock = |name| pglock::advisory(name).using(&here);
        let outer = lock("outer").run_async(async {
            let slow = async { proxy.delay_connections(Duration::from_secs(3)) };
            wait_and_go_away(&db, lock("inner"), slow).await;
            wait_until_async("it waits no longer", BOUND, || db.blocked_pids().is_empty()).await;
            lock("after")
                .run_async(async { Ok::<_, Error>(()) })
                .await?;
            pglock::check()
        });
        outer.await.unwrap();
    });
    release();
}

/// Where there is no helper session, the cancel is a request that cancels whatever runs.
#[test]
fn a_cancel_request_never_cancels_the_next_statement() {
    let db = SERVER.create_database();
    let here = Database::builder(db.url()).build().unwrap();
    runtime().block_on(async {
        let (mut holder, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = |name| pglock::advisory(name).using(&here);
        let outer = lock("outer").run_async(async {
            for round in 0..200_u64 {
                let held = pglock::advisory("inner").on_async(&mut holder).acquire();
                let held = held.await.unwrap();
                // Released at about the moment at which the cancel arrives.
                let release = async {
                    tokio::time::sleep(Duration::from_micros(round * 15)).await;
                    held.release().await.unwrap();
                };
                let (sender, go) = tokio::sync::oneshot::channel();
                let wait = wait_and_go_away(&db, lock("inner"), async { sender.send(()).unwrap() });
                let release = async {
                    go.await.unwrap();
                    release.await;
                };
                tokio::join!(wait, release);
                let after = lock("after").run_async(async { Ok::<_, Error>(()) });
                after
                    .await
                    .unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            }
            pglock::check()
        });
        outer.await.unwrap();
    });
    db.wait_for_no_locks();
}
