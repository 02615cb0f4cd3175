//! Who asks: roles that see little, settings, async connections.

use std::collections::BTreeSet;

use pglock_tests::{Waiter, database, pid_of};
use tokio_postgres::NoTls;

use crate::{NOBODY, edges, graph_of, holder, roots};

#[test]
fn nobody_waits() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (_holder, _) = holder(&db, "BEGIN; LOCK TABLE orders");
    let graph = graph_of(&db);
    assert!(graph.is_empty() && graph.sessions().is_empty(), "{graph:?}");
    assert_eq!(graph.edges().len(), 0);
    assert!(graph.roots().is_empty() && graph.cycles().is_empty());
    assert_eq!(graph.to_string(), "nobody waits for a lock");
}

#[test]
fn only_the_components_that_were_requested() {
    let db = database();
    db.execute("CREATE TABLE orders (); CREATE TABLE drafts (); CREATE TABLE others ()");
    let (on_orders, on_orders_pid) = holder(&db, "BEGIN; LOCK TABLE orders");
    let (on_drafts, on_drafts_pid) = holder(&db, "BEGIN; LOCK TABLE drafts");
    let orders = Waiter::start(&db, "SELECT FROM orders");
    let drafts = Waiter::start(&db, "SELECT FROM drafts");
    let mut client = db.connect();
    let all = pglock::wait_graph();
    let mut roots_of = |query: pglock::WaitGraphQuery| roots(&query.fetch(&mut client).unwrap());
    // Who waits longest comes first.
    assert_eq!(roots_of(all.clone()), [on_orders_pid, on_drafts_pid]);
    assert_eq!(roots_of(all.clone().pid([orders.pid])), [on_orders_pid]);
    assert_eq!(roots_of(all.clone().pid([on_orders_pid])), [on_orders_pid]);
    assert_eq!(roots_of(all.clone().pid([drafts.pid, orders.pid])).len(), 2);
    assert_eq!(roots_of(all.clone().pid([])), NOBODY);
    assert_eq!(roots_of(all.clone().pid([0])), NOBODY);
    assert_eq!(roots_of(all.clone().on(["drafts"])), [on_drafts_pid]);
    assert_eq!(roots_of(all.clone().on(["drafts", "orders"])).len(), 2);
    assert_eq!(roots_of(all.clone().on(["others"])), NOBODY);
    assert_eq!(roots_of(all.clone().on([""; 0])), NOBODY);
    let both = all.clone().on(["drafts"]).pid([orders.pid]);
    assert_eq!(roots_of(both), NOBODY);

    let error = all.on(["ordres"]).fetch(&mut client).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("\"ordres\""));
    drop((on_orders, on_drafts));
    orders.finish();
    drafts.finish();
}

#[test]
fn a_role_that_may_see_little_sees_who_waits_for_whom() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (holder, holder_pid) = holder(&db, "BEGIN; LOCK TABLE orders");
    let waiter = Waiter::start(&db, "SELECT FROM orders");
    let mut client = db.connect();
    // One that every server has, and that may look at nothing of others.
    client.batch_execute("SET ROLE pg_signal_backend").unwrap();
    let graph = pglock::wait_graph().fetch(&mut client).unwrap();
    assert_eq!(
        edges(&graph),
        BTreeSet::from([(waiter.pid, holder_pid, true)])
    );
    let root = graph.roots()[0];
    assert_eq!((root.activity.state, &root.activity.query), (None, &None));
    let tree = graph.to_string();
    assert_eq!(
        tree.lines().next(),
        Some(format!("pid {holder_pid} (\"holder\", user \"postgres\")").as_str())
    );
    drop(holder);
    waiter.finish();
}

#[test]
fn settings_of_the_session_and_statements_of_others_do_not_matter() {
    let db = database();
    let (holder, holder_pid) = holder(
        &db,
        "SELECT pg_advisory_lock(1) /* \"\\\u{1b}[2J\r\n\"]; x -> y */",
    );
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    client
        .batch_execute(
            "SET standard_conforming_strings = off; SET search_path = ''; SET intervalstyle = sql_standard; \
             SET datestyle = 'German'; CREATE TEMP TABLE pg_locks (); CREATE TEMP TABLE pg_stat_activity (); \
             CREATE TEMP TABLE pg_prepared_xacts (); CREATE TEMP TABLE pg_database ()",
        )
        .unwrap();
    let mut tx = client.transaction().unwrap();
    let graph = pglock::wait_graph().fetch(&mut tx).unwrap();
    assert_eq!(roots(&graph), [holder_pid]);
    let tree = graph.to_string();
    assert!(
        tree.contains("SELECT pg_advisory_lock(1) /* \"\\\u{fffd}[2J \"]; x -> y */\n"),
        "{tree}"
    );
    let dot = graph.to_dot();
    assert!(
        dot.contains(
            "pg_advisory_lock(1) /* \\\"\\\\\u{fffd}[2J \\\"]; x -> y */\" peripheries=2];\n"
        ),
        "{dot}"
    );
    assert_eq!(
        dot.matches("n0 -> n1 [label=\"EXCLUSIVE on advisory lock 1\\n")
            .count(),
        1,
        "{dot}"
    );

    drop(holder);
    waiter.finish();
    assert!(pglock::wait_graph().fetch(&mut tx).unwrap().is_empty());
    tx.batch_execute("SELECT 1 / 0").unwrap_err();
    let error = pglock::wait_graph().fetch(&mut tx).unwrap_err();
    assert!(error.is_config(), "{error}");
    drop(tx);
    let pid = pid_of(&mut client);
    db.terminate(pid);
    let error = pglock::wait_graph().fetch(&mut client).unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[tokio::test]
async fn async_connections_return_the_same() {
    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let (mut holder, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let tx = holder.transaction().await.unwrap();
    tx.batch_execute("SELECT pg_advisory_xact_lock(1)")
        .await
        .unwrap();
    let waiter = std::thread::scope(|scope| {
        let wait = || Waiter::start(&db, "SELECT pg_advisory_lock(1)");
        scope.spawn(wait).join().unwrap()
    });
    // In a task: the future is `Send`.
    let query = pglock::wait_graph().pid([waiter.pid]);
    let (graph, mut client) = tokio::spawn(async move {
        let graph = query.fetch_async(&mut client).await.unwrap();
        (graph, client)
    })
    .await
    .unwrap();
    assert_eq!(graph.blockers_of(waiter.pid).count(), 1);
    let mut tx_of_ours = client.transaction().await.unwrap();
    let inside = pglock::wait_graph().fetch_async(&mut tx_of_ours).await;
    assert_eq!(edges(&inside.unwrap()), edges(&graph));
    let error = pglock::wait_graph()
        .on(["ordres"])
        .fetch_async(&mut tx_of_ours)
        .await;
    assert!(error.unwrap_err().is_config());
    tx.rollback().await.unwrap();
    std::thread::spawn(|| waiter.finish()).join().unwrap();
}
