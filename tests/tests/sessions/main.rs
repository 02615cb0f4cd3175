//! Sessions of pglock's own: what happens while none can be opened, and how many there are.

use std::pin::pin;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Advisory, Database, Error};
use pglock_tests::{
    BOUND, Background, PgBouncer, Proxy, Server, TestDb, background, wait_until, wait_until_async,
};
use postgres::NoTls;

/// Of our own also where `DATABASE_URL` names one: its backends are stopped, and it is filled.
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A heartbeat that makes five eighths of a second without an answer a silence.
fn impatient(url: &str) -> Database {
    let builder = Database::builder(url);
    builder.heartbeat(Duration::from_secs(1)).build().unwrap()
}

/// A call of `outer` whose inner call waits for `inner`, which somebody else holds.
fn nested(here: &Database) -> Background<Result<(), Error>> {
    let here = here.clone();
    background("the outer call ends", move || {
        let lock = |name| pglock::advisory(name).using(&here);
        lock("outer").run(|| {
            lock("inner").run(|| Ok::<_, Error>(()))?;
            pglock::check()
        })
    })
}

/// Holds a lock without pglock's sessions.
fn hold(db: &TestDb, name: &'static str) -> impl FnOnce() + use<> {
    let (sender, receiver) = mpsc::channel::<()>();
    let mut client = db.connect();
    let held = background("it is released", move || {
        let lock = pglock::advisory(name).on(&mut client).acquire().unwrap();
        let _ = receiver.recv();
        lock.release().unwrap();
    });
    move || {
        drop(sender);
        held.finish(BOUND);
    }
}

#[test]
fn logins_that_are_slow_take_no_lock_from_those_who_wait() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = impatient(&proxy.url(db.name()));
    let release = hold(&db, "inner");
    let outer = nested(&here);
    db.wait_for_waiters(1);
    proxy.delay_connections(Duration::from_secs(3));
    // What is measured is that it is held all this time, in which one more session is asked for and comes late.
    thread::sleep(Duration::from_secs(5));
    assert_eq!(db.held(pglock::advisory_id("outer")), 1);
    release();
    outer.finish(BOUND).unwrap();
}

/// The backend of the helper session, once it has been asked something.
fn helper_of(db: &TestDb) -> i32 {
    let mut client = db.connect();
    let asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'pglock' AND query = '' AND query_start IS NOT NULL";
    let mut helper = None;
    wait_until("a helper session is asked", BOUND, || {
        helper = client.query_opt(asked, &[]).unwrap();
        helper.is_some()
    });
    helper.unwrap().get(0)
}

#[test]
fn a_helper_session_that_is_stuck_accuses_nobody_while_others_are_answered() {
    let db = SERVER.create_database();
    let here = impatient(db.url());
    let guard = pglock::advisory("held").using(&here).acquire().unwrap();
    let release = hold(&db, "inner");
    let outer = nested(&here);
    db.wait_for_waiters(1);
    let helper = helper_of(&db).to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, helper.as_str()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    // What is measured is that nothing is lost in this time, in which the helper session does not answer.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(db.waiting(pglock::advisory_id("inner")), 1);
    signal("-CONT");
    release();
    outer.finish(BOUND).unwrap();
    guard.release().unwrap();
}

/// A proxy that hangs: only what is asked on an established session finds that.
#[test]
fn a_wait_that_begins_in_a_silence_is_told_of_it_too() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = impatient(&proxy.url(db.name()));
    let _release = hold(&db, "other");
    let wait = |name| {
        let lock = pglock::advisory(name).using(&here);
        background("the waiter hears of it", move || lock.acquire())
    };
    let first = wait("other");
    db.wait_for_waiters(1);
    // Its session is idle when the silence begins.
    let idle = pglock::advisory("idle").using(&here).acquire().unwrap();
    idle.release().unwrap();
    helper_of(&db);
    proxy.stop_forwarding();
    let error = first.finish(BOUND).unwrap_err();
    assert!(error.is_connect(), "{error}");
    let error = wait("later").finish(BOUND).unwrap_err();
    assert!(error.is_connect(), "{error}");
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap()
}

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
async fn drop_an_inner_wait(db: &TestDb, here: &Database, before: impl Future<Output = ()>) {
    let lock = |name| pglock::advisory(name).using(here);
    let outer = lock("outer").run_async(async {
        before.await;
        wait_and_go_away(db, lock("inner"), async {}).await;
        wait_until_async("it waits no longer", Duration::from_secs(1), || {
            db.blocked_pids().is_empty()
        })
        .await;
        // On the session of the outer one, as soon as that has heard of the cancel.
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
fn a_dropped_wait_behind_a_session_pool_of_one_is_canceled_and_the_outer_lock_is_kept() {
    let db = SERVER.create_database();
    let pool = [("pool_mode", "session"), ("default_pool_size", "1")];
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
            proxy.delay_connections(Duration::from_secs(3));
            wait_and_go_away(&db, lock("inner"), async {}).await;
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

/// Where there is no helper session, the cancel is a request that hits whatever runs.
#[test]
fn a_cancel_request_never_hits_the_next_statement() {
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
