//! What is told of locks and of their sessions, in which order, and on which connections.

use std::time::{Duration, SystemTime};

use pglock::{Lock, LockKind, LockMode, RelKind, State, TableMode};
use pglock_tests::{BOUND, TestDb, database, wait_until};
use postgres::Client;
use tokio_postgres::NoTls;

use crate::{NOBODY, Waiter, pid_of};

/// Only `&mut Client` was taken, which tasks that share a client do not have.
#[tokio::test]
async fn tasks_that_share_a_client_can_look() {
    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let locked = pglock::advisory("shared").on_async(&mut client);
    let locked = locked.acquire().await.unwrap();
    let client: &tokio_postgres::Client = &locked;
    let is_listed = async || {
        let locks = pglock::locks().filter("kind=ADVISORY").unwrap();
        let locks = locks.fetch_async(&mut &*client).await.unwrap();
        locks.len() == 1 && locks[0].is_advisory("shared")
    };
    let graph = async || pglock::wait_graph().fetch_async(&mut &*client).await;
    let (one, other, graph) = tokio::join!(is_listed(), is_listed(), graph());
    assert!(one && other && graph.unwrap().is_empty());
    locked.release().await.unwrap();

    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let tx = client.transaction().await.unwrap();
    let blocked = pglock::blocked_locks().fetch_async(&mut &tx).await;
    assert!(blocked.unwrap().is_empty());
}

fn locks_of(db: &TestDb, pid: i32) -> Vec<Lock> {
    pglock::locks().pid([pid]).fetch(&mut db.connect()).unwrap()
}

#[test]
fn a_table_lock_is_listed_with_its_session() {
    let db = database();
    db.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders ()");
    let before = SystemTime::now() - Duration::from_secs(1);
    let mut holder = db.connect_as("holder");
    let pid = pid_of(&mut holder);
    holder
        .batch_execute("BEGIN; LOCK TABLE shop.orders IN SHARE ROW EXCLUSIVE MODE")
        .unwrap();
    let mut client = db.connect();
    let mut locks = Vec::new();
    // It answers a statement before it begins to wait for the next one.
    wait_until("the holder waits for its client", BOUND, || {
        let of_the_table = pglock::locks().on(["shop.orders"]);
        locks = of_the_table.fetch(&mut client).unwrap();
        locks[0].activity.wait_event.is_some()
    });
    let [lock] = &locks[..] else {
        panic!("{locks:#?}")
    };
    assert_eq!(lock.kind, LockKind::Relation);
    assert_eq!(lock.mode, TableMode::ShareRowExclusive);
    assert!(lock.granted);
    assert_eq!((lock.wait_start, lock.wait_duration), (None, None));
    assert_eq!(lock.rel_kind, Some(RelKind::Table));
    assert_eq!(lock.rel_name.as_deref(), Some("orders"));
    assert_eq!(lock.schema.as_deref(), Some("shop"));
    assert_eq!(lock.advisory_key, None);
    let session = &lock.activity;
    assert_eq!(session.pid, pid);
    assert_eq!(session.state, Some(State::IdleInTransaction));
    assert!(session.query.as_deref().unwrap().contains("LOCK TABLE"));
    assert_eq!(session.context, None);
    assert_eq!(session.application_name.as_deref(), Some("holder"));
    assert_eq!(session.backend_type.as_deref(), Some("CLIENT_BACKEND"));
    assert_eq!(session.wait_event_type.as_deref(), Some("CLIENT"));
    assert_eq!(session.wait_event.as_deref(), Some("CLIENT_READ"));
    assert!(session.user.is_some());
    let now = SystemTime::now() + Duration::from_secs(1);
    for time in [
        session.start,
        session.xact_start,
        session.backend_start,
        session.state_change,
    ] {
        assert!(time.unwrap() > before && time.unwrap() < now, "{time:?}");
    }
    assert!(session.backend_start <= session.xact_start);
    assert!(session.duration.unwrap() < Duration::from_secs(60));
}

#[test]
fn what_django_pgactivity_writes_is_the_context() {
    let db = database();
    let mut holder = db.connect();
    let pid = pid_of(&mut holder);
    holder
        .batch_execute(
            "/*pga_context={\"url\": \"/home/\", \"n\": {\"x\": 1}}*/\nSELECT pg_advisory_lock(1)",
        )
        .unwrap();
    let lock = locks_of(&db, pid).remove(0);
    assert_eq!(
        lock.activity.context.as_deref(),
        Some("{\"url\": \"/home/\", \"n\": {\"x\": 1}}")
    );
    assert_eq!(
        lock.activity.query.as_deref(),
        Some("SELECT pg_advisory_lock(1)")
    );
    // Anywhere else it is a part of the statement.
    holder
        .batch_execute("SELECT 1 /*pga_context={\"url\": 1}*/")
        .unwrap();
    let lock = locks_of(&db, pid).remove(0);
    assert_eq!(lock.activity.context, None);
    assert!(lock.activity.query.unwrap().contains("pga_context"));
}

#[test]
fn what_is_waited_for_comes_first_and_the_longest_wait_before_others() {
    let db = database();
    let mut holder = db.connect();
    holder
        .batch_execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
        .unwrap();
    let first = Waiter::start(&db, "SELECT pg_advisory_lock(2)");
    let second = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let advisory = || pglock::locks().filter("kind=ADVISORY").unwrap();
    let pids = |locks: Vec<Lock>| {
        locks
            .iter()
            .map(|lock| lock.activity.pid)
            .collect::<Vec<_>>()
    };
    let all = advisory().fetch(&mut client).unwrap();
    assert_eq!(pids(all)[..2], [first.pid, second.pid]);
    assert_eq!(
        pids(advisory().limit(1).fetch(&mut client).unwrap()),
        [first.pid]
    );
    assert_eq!(
        pids(advisory().limit(0).fetch(&mut client).unwrap()),
        NOBODY
    );
    let waiting = advisory().granted(false).fetch(&mut client).unwrap();
    assert_eq!(pids(waiting), [first.pid, second.pid]);
    let held = advisory().granted(true).fetch(&mut client).unwrap();
    assert!(held.len() == 2 && held.iter().all(|lock| lock.granted));

    // Among those that are held, the session whose statement began first.
    let mut younger = db.connect();
    younger.batch_execute("SELECT pg_advisory_lock(3)").unwrap();
    let held = pids(advisory().granted(true).fetch(&mut client).unwrap());
    assert_eq!(held.last(), Some(&pid_of(&mut younger)));
    drop(holder);
    first.finish();
    second.finish();
}

#[test]
fn tables_are_found_by_name_and_unknown_ones_refused() {
    let db = database();
    db.execute(
        r#"CREATE TABLE orders (); CREATE TABLE "Orders" (); CREATE SCHEMA "odd""; --"; CREATE TABLE "odd""; --"."a.b" ()"#,
    );
    let mut holder = db.connect();
    holder
        .batch_execute(r#"BEGIN; LOCK TABLE orders; LOCK TABLE "odd""; --"."a.b""#)
        .unwrap();
    let mut client = db.connect();
    let names = |on: pglock::Locks, client: &mut Client| -> Vec<String> {
        let locks = on.fetch(client).unwrap();
        locks.into_iter().filter_map(|lock| lock.rel_name).collect()
    };
    assert_eq!(
        names(pglock::locks().on(["orders"]), &mut client),
        ["orders"]
    );
    assert!(names(pglock::locks().on(["Orders"]), &mut client).is_empty());
    assert_eq!(
        names(pglock::locks().on([("odd\"; --", "a.b")]), &mut client),
        ["a.b"]
    );
    assert_eq!(
        names(pglock::locks().on(["orders", "Orders"]), &mut client),
        ["orders"]
    );
    assert!(names(pglock::locks().on([""; 0]), &mut client).is_empty());
    assert!(names(pglock::locks().pid([]), &mut client).is_empty());

    // The transaction around it goes on.
    let mut tx = client.transaction().unwrap();
    for name in ["ordres", "nowhere.orders", "", "a\0"] {
        let error = pglock::locks()
            .on(["orders", name])
            .fetch(&mut tx)
            .unwrap_err();
        assert!(error.is_config(), "{error}");
        let error = pglock::locks()
            .on([name])
            .terminate_activity(&mut tx)
            .unwrap_err();
        assert!(error.is_config(), "{error}");
    }
    let error = pglock::locks().on(["ordres"]).fetch(&mut tx).unwrap_err();
    assert!(error.to_string().contains("\"ordres\""), "{error}");
    tx.query_one("SELECT 1", &[]).unwrap();
}

#[test]
fn in_a_transaction_the_sessions_are_read_anew_each_time() {
    let db = database();
    let mut holder = db.connect_as("before");
    let pid = pid_of(&mut holder);
    holder.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let name = |tx: &mut postgres::Transaction<'_>| {
        let lock = pglock::locks().pid([pid]).fetch(tx).unwrap().remove(0);
        lock.activity.application_name.unwrap()
    };
    assert_eq!(name(&mut tx), "before");
    holder
        .batch_execute("SET application_name = 'after'")
        .unwrap();
    assert_eq!(name(&mut tx), "after");

    // It began before the wait, whose length is told all the same.
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let waits = pglock::locks().granted(false).fetch(&mut tx).unwrap();
    assert!(waits[0].wait_duration.unwrap() > Duration::ZERO);
    assert!(waits[0].activity.duration.unwrap() > Duration::ZERO);
    db.terminate(pid);
    waiter.finish();

    tx.batch_execute("SELECT 1 / 0").unwrap_err();
    let error = pglock::locks().fetch(&mut tx).unwrap_err();
    assert!(
        error.is_config() && error.to_string().contains("roll back"),
        "{error}"
    );
}

#[test]
fn guards_and_settings_of_the_session_do_not_matter() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute(
            "SET standard_conforming_strings = off; SET search_path = ''; SET intervalstyle = sql_standard; \
             SET datestyle = 'German'; CREATE TEMP TABLE pg_locks (); CREATE TEMP TABLE pg_stat_activity ()",
        )
        .unwrap();
    let pid = pid_of(&mut client);
    let mut locked = pglock::advisory("guarded")
        .on(&mut client)
        .acquire()
        .unwrap();
    let locks = pglock::locks()
        .filter("kind=ADVISORY")
        .unwrap()
        .filter("activity__duration__lt=1 day")
        .unwrap()
        .fetch(&mut locked)
        .unwrap();
    assert_eq!(locks.len(), 1);
    assert!(locks[0].is_advisory("guarded"));
    assert_eq!(locks[0].activity.pid, pid);
    assert!(locks[0].activity.backend_start.unwrap() < SystemTime::now());
    locked.release().unwrap();
}

#[test]
fn an_ended_session_is_a_connect_error() {
    let db = database();
    let mut client = db.connect();
    let pid = pid_of(&mut client);
    db.terminate(pid);
    let error = pglock::locks().fetch(&mut client).unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[tokio::test]
async fn async_connections_return_the_same() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let (mut holder, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    // In a task: the futures are `Send`.
    let task = async move {
        let mut tx = holder.transaction().await.unwrap();
        tx.batch_execute("LOCK TABLE orders").await.unwrap();
        let on_orders = pglock::locks().on(["orders"]);
        let outside = on_orders.clone().fetch_async(&mut client).await.unwrap();
        let inside = on_orders.fetch_async(&mut tx).await.unwrap();
        assert_eq!(outside.len(), 1);
        assert_eq!(outside[0].mode, LockMode::AccessExclusive);
        assert_eq!(inside[0].activity.pid, outside[0].activity.pid);

        let advisory = pglock::advisory(2).on_async(&mut client);
        let mut guard = advisory.acquire().await.unwrap();
        let locks = pglock::locks().filter("type=ADVISORY").unwrap();
        let locks = locks.fetch_async(&mut guard).await.unwrap();
        assert!(locks.len() == 1 && locks[0].is_advisory(2));

        let error = pglock::locks().on(["ordres"]).fetch_async(&mut tx).await;
        assert!(error.unwrap_err().is_config());
    };
    tokio::spawn(task).await.unwrap();
}
