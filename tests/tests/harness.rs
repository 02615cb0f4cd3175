//! The harness itself: what the other tests rely on.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use pglock_tests::{
    BOUND, Child, Key, Proxy, Server, TestDb, background, child, database, is_alive, server,
    server_is_ours, wait_until,
};
use postgres::{Client, NoTls};

#[test]
fn a_server_is_gone_after_its_test_was_killed() {
    if child::role().as_deref() == Some("owner") {
        let server = Server::start();
        child::say(&format!("pid {}", server.pid()));
        child::say(&format!("data {}", server.data_dir().display()));
        child::wait_for_end();
        return;
    }
    let mut owner = Child::of("a_server_is_gone_after_its_test_was_killed", "owner").start();
    let pid = owner.wait_for_line("pid", 3 * BOUND).parse().unwrap();
    let data = PathBuf::from(owner.wait_for_line("data", BOUND));
    assert!(is_alive(pid) && data.exists());
    owner.kill();
    wait_until("the server is gone", BOUND, || !is_alive(pid));
    let folder = data.parent().unwrap();
    wait_until("its folder is gone", BOUND, || !folder.exists());
}

#[test]
fn a_server_is_gone_after_its_drop() {
    let server = Server::start();
    let (pid, data) = (server.pid(), server.data_dir());
    let _connected = connect(&server.url("postgres"));
    assert!(is_alive(pid) && data.exists());
    drop(server);
    assert!(!is_alive(pid) && !data.parent().unwrap().exists());
}

#[test]
fn a_restarted_server_keeps_its_data_and_url() {
    let server = Server::start();
    let (pid, data, db) = (server.pid(), server.data_dir(), server.create_database());
    db.execute("CREATE TABLE kept (id int)");
    assert_eq!(db.advisory_locks(), []);
    server.restart();
    assert_ne!(server.pid(), pid);
    assert_eq!(server.data_dir(), data);
    assert!(
        db.connect()
            .query("SELECT FROM kept", &[])
            .unwrap()
            .is_empty()
    );
    // The session that looks on was lost, and is there again.
    assert_eq!(db.advisory_locks(), []);
}

#[test]
fn a_killed_server_loses_its_sessions_and_starts_again() {
    let server = Server::start();
    let db = server.create_database();
    db.execute("CREATE TABLE kept (id int)");
    let mut client = db.connect();
    server.kill();
    assert!(client.batch_execute("SELECT 1").is_err());
    assert!(Client::connect(db.url(), NoTls).is_err());
    server.start_again();
    assert!(db.connect().query("SELECT FROM kept", &[]).is_ok());
    let log = server.log();
    assert!(log.contains("not properly shut down"), "{log}");
}

#[test]
fn a_server_has_its_options() {
    let server = Server::builder()
        .setting("application_name", "it's set")
        .tcp(true)
        .start();
    for url in [server.url("postgres"), server.tcp_url("postgres")] {
        let row = connect(&url)
            .query_one("SELECT current_setting('application_name')", &[])
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "it's set", "{url}");
    }
    assert!(
        Path::new(&server.data_dir())
            .join("postgresql.conf")
            .exists()
    );
}

#[test]
#[should_panic(expected = "unrecognized configuration parameter")]
fn a_server_that_does_not_start_says_why() {
    let _ = Server::builder().setting("nonsense", "1").start();
}

#[test]
fn the_server_of_the_tests_is_ours_unless_one_is_given() {
    assert_eq!(server_is_ours(), std::env::var_os("DATABASE_URL").is_none());
}

#[test]
fn a_given_server_is_used_and_left_alone() {
    if child::role().as_deref() == Some("guest") {
        let db = database();
        assert!(!server_is_ours());
        assert!(std::panic::catch_unwind(|| server().kill()).is_err());
        child::say(&format!("url {}", db.url()));
        return;
    }
    let given = Server::start();
    let test = "a_given_server_is_used_and_left_alone";
    let mut guest = Child::of(test, "guest")
        .env("DATABASE_URL", given.url("postgres"))
        .start();
    let url = guest.wait_for_line("url", BOUND);
    guest.finish(BOUND);
    let address = given.url("");
    assert!(url.starts_with(&address), "{url} is not on {address}");
    assert!(is_alive(given.pid()));
    assert!(
        Client::connect(&url, NoTls).is_err(),
        "the guest's database is left"
    );
}

#[test]
fn databases_do_not_see_each_others_locks() {
    let (one, other) = (database(), database());
    let _holder = hold(&one, "pg_advisory_lock(42)");
    assert_eq!((one.held(42), other.held(42)), (1, 0));
    let row = other
        .connect()
        .query_one("SELECT pg_try_advisory_lock(42)", &[])
        .unwrap();
    assert!(row.get::<_, bool>(0));
}

#[test]
fn a_database_is_gone_after_its_drop_whoever_is_connected() {
    let db = database();
    let url = db.url().to_owned();
    let _client = db.connect();
    drop(db);
    assert!(Client::connect(&url, NoTls).is_err());
}

#[test]
fn keys_are_as_pg_locks_shows_them() {
    let db = database();
    for (lock, key) in [
        ("pg_advisory_lock(-2)", Key::from(-2)),
        (
            "pg_advisory_lock(245608543::bigint << 32 | 3125670444)",
            Key::from((245_608_543_u32, 3_125_670_444_u32)),
        ),
        ("pg_advisory_lock(1, -2)", Key::from((1, -2))),
    ] {
        let holder = hold(&db, lock);
        assert_eq!(db.held(key), 1, "{lock}: {:?}", db.advisory_locks());
        drop(holder);
        db.wait_for_no_locks();
    }
}

#[test]
fn holders_and_waiters_are_seen() {
    let db = database();
    let mut holder = hold(&db, "pg_advisory_lock(1)");
    let mut waiter = db.connect_as("the waiter");
    let (holder_pid, waiter_pid) = (pid(&mut holder), pid(&mut waiter));
    assert_eq!(db.backends_named("the waiter"), [waiter_pid]);
    assert!(db.blocking_pids(waiter_pid).is_empty() && db.blocked_pids().is_empty());

    let waiting = std::thread::spawn(move || waiter.batch_execute("SELECT pg_advisory_lock(1)"));
    db.wait_for_waiters(1);
    assert_eq!((db.held(1), db.waiting(1), db.waiting((0, 1))), (1, 1, 0));
    assert_eq!(db.blocking_pids(waiter_pid), [holder_pid]);
    assert_eq!(db.blocked_pids(), [waiter_pid]);
    let modes: Vec<_> = db
        .advisory_locks()
        .into_iter()
        .map(|lock| (lock.pid, lock.granted, lock.mode))
        .collect();
    let exclusive = || "ExclusiveLock".to_owned();
    assert_eq!(
        modes,
        [
            (holder_pid, true, exclusive()),
            (waiter_pid, false, exclusive())
        ]
    );

    db.terminate(waiter_pid);
    assert!(waiting.join().unwrap().is_err());
    assert!(db.backends_named("the waiter").is_empty());
    db.terminate(holder_pid);
    db.wait_for_no_locks();
}

#[test]
#[should_panic(expected = "advisory locks are left")]
fn a_lock_that_is_left_is_noticed() {
    let db = database();
    let _holder = hold(&db, "pg_advisory_lock_shared(7)");
    db.wait_for_no_locks_within(Duration::from_millis(20));
}

#[test]
#[should_panic(expected = "not so within 20ms: pigs fly")]
fn waiting_has_a_bound() {
    wait_until("pigs fly", Duration::from_millis(20), || false);
}

#[test]
#[should_panic(expected = "not so within 20ms: pigs fly")]
fn waiting_for_work_has_a_bound() {
    background("pigs fly", || thread::sleep(BOUND)).finish(Duration::from_millis(20));
}

#[test]
#[should_panic(expected = "its thread panicked: pigs fly")]
fn a_panic_of_background_work_is_reported_at_once() {
    background("pigs fly", || panic!("they don't")).finish(BOUND);
}

#[tokio::test]
async fn all_of_it_works_inside_a_runtime() {
    let db = database();
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("SELECT pg_advisory_lock(1)")
        .await
        .unwrap();
    assert_eq!(db.held(1), 1);
    drop(client);
    // The connection is closed by a task on this very thread.
    pglock_tests::wait_until_async("the task has ended", BOUND, || connection.is_finished()).await;
    db.wait_for_no_locks();
}

#[test]
fn the_proxy_counts_round_trips() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut client = connect(&proxy.url(db.name()));
    assert_eq!((proxy.connections(), proxy.round_trips()), (1, 0));
    client.simple_query("SELECT 1").unwrap();
    assert_eq!(proxy.round_trips(), 1);
    client
        .simple_query("SELECT 1; SELECT repeat('Z', 100000)")
        .unwrap();
    assert_eq!(proxy.round_trips(), 2);
    // It is prepared first, and then executed.
    client.query("SELECT 1", &[]).unwrap();
    assert_eq!(proxy.round_trips(), 4);
    connect(&proxy.url(db.name()))
        .simple_query("SELECT 1")
        .unwrap();
    assert_eq!((proxy.connections(), proxy.round_trips()), (2, 5));
}

#[test]
fn a_dark_proxy_passes_nothing_and_then_everything() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut client = connect(&proxy.url(db.name()));
    let client_pid = pid(&mut client);
    proxy.stop_forwarding();
    let before = proxy.round_trips();
    let asking = std::thread::spawn(move || {
        client
            .batch_execute("SELECT pg_advisory_lock(1)")
            .map(|()| client)
    });
    // Neither does the end of the session get through.
    db.terminate(client_pid);
    assert!(!asking.is_finished());
    assert_eq!(
        (proxy.round_trips(), db.advisory_locks().len()),
        (before, 0)
    );
    proxy.resume();
    assert!(asking.join().unwrap().is_err());
}

#[test]
fn a_question_in_the_dark_is_answered_later() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut client = connect(&proxy.url(db.name()));
    proxy.stop_forwarding();
    let asking = std::thread::spawn(move || {
        client
            .batch_execute("SELECT pg_advisory_lock(1)")
            .map(|()| client)
    });
    assert_eq!(db.held(1), 0);
    proxy.resume();
    let client = asking.join().unwrap().unwrap();
    assert_eq!(db.held(1), 1);
    drop(client);
    db.wait_for_no_locks();
}

#[test]
fn a_proxy_closes_its_connections() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut client = connect(&proxy.url(db.name()));
    client.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    proxy.close_all();
    assert!(client.batch_execute("SELECT 1").is_err());
    db.wait_for_no_locks();
}

#[test]
fn a_child_talks_with_its_parent() {
    if child::role().as_deref() == Some("echo") {
        child::say(&format!("ready {}", child::argument("GREETING")));
        while let Some(line) = child::hear() {
            child::say(&line);
        }
        return;
    }
    let mut echo = Child::of("a_child_talks_with_its_parent", "echo")
        .argument("GREETING", "hello you")
        .start();
    assert_eq!(echo.wait_for_line("ready", BOUND), "hello you");
    echo.send_line("one 1");
    echo.send_line("two 2");
    assert_eq!(echo.wait_for_line("two", BOUND), "2");
    echo.finish(BOUND);
}

#[test]
fn a_killed_child_loses_its_locks() {
    if child::role().as_deref() == Some("holder") {
        let mut client = connect(&child::argument("URL"));
        client.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        child::say("got");
        child::wait_for_end();
        return;
    }
    let db = database();
    let mut holder = Child::of("a_killed_child_loses_its_locks", "holder")
        .argument("URL", db.url())
        .start();
    holder.wait_for_line("got", BOUND);
    assert_eq!(db.held(1), 1);
    holder.kill();
    db.wait_for_no_locks();
    assert!(!is_alive(holder.id()));
}

#[test]
#[should_panic(expected = "the child did not say \"ready\"")]
fn a_child_that_fails_is_noticed() {
    let _ = Child::of("there_is_no_such_test", "any")
        .start()
        .wait_for_line("ready", BOUND);
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

fn hold(db: &TestDb, lock: &str) -> Client {
    let mut client = db.connect();
    client.batch_execute(&format!("SELECT {lock}")).unwrap();
    client
}

fn pid(client: &mut Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}
