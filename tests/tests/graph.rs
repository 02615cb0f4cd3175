//! The wait-for graph of real sessions.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use pglock::{LockId, LockKind, LockMode, State, TableMode, WaitGraph};
use pglock_tests::{BOUND, TestDb, Waiter, database, pid_of, wait_until};
use postgres::Client;
use tokio_postgres::NoTls;

/// No pids.
const NOBODY: [i32; 0] = [];

fn graph_of(db: &TestDb) -> WaitGraph {
    pglock::wait_graph().fetch(&mut db.connect()).unwrap()
}

/// Who waits for whom, and whether that one has the lock.
fn edges(graph: &WaitGraph) -> BTreeSet<(i32, i32, bool)> {
    let edges = graph.edges().map(|edge| {
        (
            edge.waiter.activity.pid,
            edge.blocker.activity.pid,
            edge.hard,
        )
    });
    edges.collect()
}

fn roots(graph: &WaitGraph) -> Vec<i32> {
    let roots = graph.roots();
    roots.iter().map(|root| root.activity.pid).collect()
}

fn cycles(graph: &WaitGraph) -> Vec<BTreeSet<i32>> {
    let cycles = graph.cycles();
    let pids = cycles
        .iter()
        .map(|cycle| cycle.iter().map(|session| session.activity.pid));
    pids.map(BTreeSet::from_iter).collect()
}

/// A session that has run the statements.
fn holder(db: &TestDb, statements: &str) -> (Client, i32) {
    let mut client = db.connect_as("holder");
    let pid = pid_of(&mut client);
    client.batch_execute(statements).unwrap();
    (client, pid)
}

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
fn an_edge_has_the_lock_and_both_sessions() {
    let db = database();
    db.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders ()");
    let (mut holder, holder_pid) = holder(&db, "BEGIN; LOCK TABLE shop.orders IN SHARE MODE");
    let waiter = Waiter::start(&db, "INSERT INTO shop.orders DEFAULT VALUES");
    let graph = graph_of(&db);
    assert_eq!(graph.edges().len(), 1, "{graph:#?}");
    let edge = graph.edges().next().unwrap();
    assert_eq!(edge.waiter.activity.pid, waiter.pid);
    assert_eq!(edge.blocker.activity.pid, holder_pid);
    assert!(edge.hard);
    assert_eq!(edge.lock.kind, LockKind::Relation);
    assert_eq!(edge.lock.mode, TableMode::RowExclusive);
    assert_eq!(edge.lock.schema.as_deref(), Some("shop"));
    assert_eq!(edge.lock.rel_name.as_deref(), Some("orders"));
    assert!(!edge.lock.granted);
    assert_eq!(edge.lock.activity.pid, waiter.pid);
    assert!(edge.lock.wait_start.unwrap() <= SystemTime::now() + Duration::from_secs(1));
    assert!(edge.lock.wait_duration.unwrap() < Duration::from_secs(60));
    assert_eq!(edge.waiter.activity.state, Some(State::Active));
    let root = &graph.roots()[0].activity;
    assert_eq!(root.pid, holder_pid);
    assert_eq!(root.state, Some(State::IdleInTransaction));
    assert_eq!(root.application_name.as_deref(), Some("holder"));
    assert!(root.query.as_deref().unwrap().contains("IN SHARE MODE"));
    assert_eq!(edge.blocker.prepared, None);

    assert_eq!(graph.blockers_of(waiter.pid).collect::<Vec<_>>(), [edge]);
    assert_eq!(graph.blocked_by(holder_pid).collect::<Vec<_>>(), [edge]);
    assert_eq!(graph.blockers_of(holder_pid).count(), 0);
    assert_eq!(graph.blocked_by(waiter.pid).count(), 0);

    let tree = graph.to_string();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with(&format!("pid {holder_pid} (\"holder\", user "))
            && lines[0].contains(", IDLE_IN_TRANSACTION, last statement ")
            && lines[0].ends_with(" ago: BEGIN; LOCK TABLE shop.orders IN SHARE MODE")
            && lines[1].starts_with(&format!("└─ pid {} (\"waiter\", ", waiter.pid))
            && lines[1].ends_with(
                " for ROW_EXCLUSIVE on table shop.orders: INSERT INTO shop.orders DEFAULT VALUES"
            ),
        "{tree}"
    );
    holder.batch_execute("ROLLBACK").unwrap();
    waiter.finish();
    assert!(graph_of(&db).is_empty());
}

#[test]
fn rows_are_waited_for_by_transaction_and_by_tuple() {
    let db = database();
    db.execute("CREATE TABLE rows (id int); INSERT INTO rows VALUES (1)");
    let (mut holder, holder_pid) = holder(&db, "BEGIN; UPDATE rows SET id = 2");
    let second = Waiter::start(&db, "UPDATE rows SET id = 3");
    // By table, although the lock that is waited for names none: the sessions have locks on it besides.
    db.execute("CREATE TABLE others ()");
    let on = |table| {
        let query = pglock::wait_graph().on([table]);
        query.fetch(&mut db.connect()).unwrap()
    };
    assert_eq!(edges(&on("rows")), edges(&graph_of(&db)));
    assert_eq!(graph_of(&db).edges().len(), 1);
    assert!(on("others").is_empty());

    let third = Waiter::start(&db, "UPDATE rows SET id = 4");
    let graph = graph_of(&db);
    // A chain of three.
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (second.pid, holder_pid, true),
            (third.pid, second.pid, true)
        ])
    );
    assert_eq!(roots(&graph), [holder_pid]);
    let lock = graph.blockers_of(second.pid).next().unwrap().lock;
    assert_eq!(lock.kind, LockKind::TransactionId);
    let lock = graph.blockers_of(third.pid).next().unwrap().lock;
    assert_eq!(lock.kind, LockKind::Tuple);
    assert_eq!(lock.rel_name.as_deref(), Some("rows"));
    let tree = graph.to_string();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(
        lines[1].starts_with("└─ pid ")
            && lines[1].contains(" for SHARE on a transaction, for a row of public.")
    );
    assert!(lines[2].starts_with("   └─ pid ") && lines[2].contains(" on a row of public.rows: "));
    holder.batch_execute("ROLLBACK").unwrap();
    second.finish();
    third.finish();
}

#[test]
fn an_idle_session_that_holds_an_advisory_lock_is_a_root() {
    let db = database();
    let (holder, holder_pid) = holder(&db, "SELECT pg_advisory_lock(7)");
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock_shared(7)");
    let graph = graph_of(&db);
    let edge = graph.edges().next().unwrap();
    assert_eq!(edge.lock.kind, LockKind::Advisory);
    assert_eq!(edge.lock.mode, LockMode::Share);
    assert_eq!(edge.lock.advisory_key, Some(LockId::Key(7)));
    assert_eq!(graph.roots()[0].activity.state, Some(State::Idle));
    assert_eq!(roots(&graph), [holder_pid]);
    assert!(
        graph
            .to_string()
            .contains(" for SHARE on advisory lock 7: ")
    );
    drop(holder);
    waiter.finish();
}

#[test]
fn queued_sessions_are_distinguished_from_holders() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut reader, reader_pid) = holder(&db, "BEGIN; SELECT FROM orders");
    let writer = Waiter::start(&db, "ALTER TABLE orders ADD id int");
    let behind = Waiter::start(&db, "SELECT FROM orders");
    let graph = graph_of(&db);
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (writer.pid, reader_pid, true),
            (behind.pid, writer.pid, false)
        ])
    );
    assert_eq!(roots(&graph), [reader_pid]);
    let tree = graph.to_string();
    let last = tree.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("   └─ pid {} ", behind.pid))
            && last.contains(" is queued behind it "),
        "{tree}"
    );
    reader.batch_execute("ROLLBACK").unwrap();
    writer.finish();
    behind.finish();
}

#[test]
fn who_has_a_weak_lock_and_waits_for_a_strong_one_blocks_readers_softly() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (mut reader, reader_pid) = holder(&db, "BEGIN; SELECT FROM orders");
    let (upgrading, _) = holder(&db, "BEGIN; SELECT FROM orders");
    let upgrading = Waiter::of(&db, upgrading, "LOCK TABLE orders");
    let behind = Waiter::start(&db, "SELECT FROM orders");
    // It holds a lock on the table, but none that keeps a reader out.
    assert_eq!(
        edges(&graph_of(&db)),
        BTreeSet::from([
            (upgrading.pid, reader_pid, true),
            (behind.pid, upgrading.pid, false)
        ])
    );
    reader.batch_execute("ROLLBACK").unwrap();
    upgrading.finish();
    behind.finish();
}

#[test]
fn a_diamond_has_one_root_and_its_foot_is_described_once() {
    let db = database();
    let (root, root_pid) = holder(&db, "SELECT pg_advisory_lock(1)");
    let [left, right] = [(); 2].map(|()| {
        let (client, _) = holder(&db, "SELECT pg_advisory_lock_shared(2)");
        Waiter::of(&db, client, "SELECT pg_advisory_lock_shared(1)")
    });
    let foot = Waiter::start(&db, "SELECT 'the foot', pg_advisory_lock(2)");
    let graph = graph_of(&db);
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (left.pid, root_pid, true),
            (right.pid, root_pid, true),
            (foot.pid, left.pid, true),
            (foot.pid, right.pid, true)
        ])
    );
    assert_eq!(roots(&graph), [root_pid]);
    assert!(graph.cycles().is_empty());
    assert_eq!(graph.sessions().len(), 4);
    let tree = graph.to_string();
    assert_eq!(tree.lines().count(), 5, "{tree}");
    assert_eq!(tree.matches("'the foot'").count(), 1, "{tree}");
    let last = tree.lines().last().unwrap();
    assert_eq!(last, format!("   └─ also blocks {}", foot.pid), "{tree}");
    drop(root);
    for waiter in [left, right, foot] {
        waiter.finish();
    }
}

#[test]
fn a_deadlock_is_a_cycle_until_the_server_breaks_it() {
    let db = database();
    let patient = |key: i32| {
        let statements = format!("SET deadlock_timeout = '1h'; SELECT pg_advisory_lock({key})");
        holder(&db, &statements).0
    };
    let [first, second, third] = [1, 2, 3].map(patient);
    let first = Waiter::of(&db, first, "SELECT pg_advisory_lock(2)");
    let second = Waiter::of(&db, second, "SELECT pg_advisory_lock(3)");
    assert!(graph_of(&db).cycles().is_empty());
    let third = Waiter::of(&db, third, "SELECT pg_advisory_lock(1)");
    let behind = Waiter::start(&db, "SELECT pg_advisory_lock_shared(3)");
    let graph = graph_of(&db);
    assert_eq!(
        cycles(&graph),
        [BTreeSet::from([first.pid, second.pid, third.pid])]
    );
    assert!(graph.roots().is_empty(), "{graph}");
    // Each before the one that it waits for.
    let ring: Vec<i32> = graph.cycles()[0]
        .iter()
        .map(|session| session.activity.pid)
        .collect();
    for (place, pid) in ring.iter().enumerate() {
        let blocker = graph.blockers_of(*pid).next().unwrap().blocker;
        assert_eq!(blocker.activity.pid, ring[(place + 1) % 3], "{ring:?}");
    }
    let tree = graph.to_string();
    assert!(
        tree.starts_with("deadlock: ") && tree.lines().count() == 7,
        "{tree}"
    );
    assert!(tree.contains(" also blocks "), "{tree}");
    assert_eq!(graph.to_dot().matches("color=red").count(), 6);

    db.terminate(third.pid);
    assert!(graph_of(&db).cycles().is_empty());
    for waiter in [second, first, behind] {
        waiter.finish();
    }
}

const CHANGE_HANDS: &str = "DO 'BEGIN FOR i IN 1..50 LOOP \
    PERFORM pg_advisory_lock(i % 2); PERFORM pg_advisory_lock(2); \
    PERFORM pg_advisory_unlock(2); PERFORM pg_advisory_unlock(i % 2); END LOOP; END'";

/// The server is asked about one waiter after the other, while they go on. All take the locks in the same order, so that
/// there is no deadlock ever, and none may be reported.
#[test]
fn no_deadlock_is_made_up_while_locks_change_hands() {
    let db = database();
    let ended = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        for _ in 0..6 {
            let mut client = db.connect();
            let ended = &ended;
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    // In the server, without a pause: who has had the lock is in the queue again at once.
                    client.batch_execute(CHANGE_HANDS).unwrap();
                }
            });
        }
        let mut looker = db.connect();
        let looks = (0..400).map(|_| pglock::wait_graph().fetch(&mut looker).unwrap());
        let (mut edges, mut made_up) = (0, None);
        for graph in looks {
            edges += graph.edges().len();
            if !graph.cycles().is_empty() {
                made_up = Some(graph);
            }
        }
        // First the others are let go: a panic would wait for them.
        ended.store(true, Ordering::Relaxed);
        (edges, made_up)
    });
    assert!(seen.0 > 200, "hardly anybody waited: {} times", seen.0);
    assert!(seen.1.is_none(), "{}", seen.1.unwrap());
}

#[test]
fn prepared_transactions_are_sessions_by_their_names() {
    let server = pglock_tests::Server::builder()
        .setting("max_prepared_transactions", "5")
        .start();
    let db = server.create_database();
    db.execute("CREATE TABLE kept (id int)");
    let prepare = |statements: &str, gid: &str| {
        db.execute(&format!("BEGIN; {statements}; PREPARE TRANSACTION '{gid}'"));
    };
    prepare("LOCK TABLE kept IN SHARE MODE", "one");
    // With a transaction inside, which has an ID of its own.
    prepare(
        "LOCK TABLE kept IN SHARE MODE; SAVEPOINT s; CREATE TABLE inside (); RELEASE s",
        "a \"second\"",
    );
    prepare("SELECT FROM kept", "keeps nobody waiting");
    for round in ["prepared", "recovered"] {
        let waiter = Waiter::start(&db, "INSERT INTO kept VALUES (1)");
        let graph = graph_of(&db);
        assert_eq!(graph.sessions().len(), 3, "{round}: {graph:#?}");
        assert_eq!(graph.blocked_by(0).count(), 2);
        let roots = graph.roots();
        let mut gids: Vec<_> = roots
            .iter()
            .map(|root| {
                assert_eq!(root.activity.pid, 0);
                let prepared = root.prepared.as_ref().unwrap();
                assert_eq!(prepared.owner.as_deref(), Some("postgres"));
                assert_eq!(prepared.database.as_deref(), Some(db.name()));
                let age = SystemTime::now().duration_since(prepared.since.unwrap());
                assert!(age.unwrap() < Duration::from_secs(120));
                prepared.gid.as_deref().unwrap()
            })
            .collect();
        gids.sort_unstable();
        assert_eq!(gids, ["a \"second\"", "one"], "{round}");
        let tree = graph.to_string();
        assert!(
            tree.contains("\nprepared transaction \"one\" (user \"postgres\", database "),
            "{tree}"
        );
        assert!(
            graph
                .to_dot()
                .contains("prepared transaction \\\"one\\\" (user ")
        );
        db.terminate(waiter.pid);
        server.restart();
    }
    let waiter = Waiter::start(&db, "INSERT INTO kept VALUES (1)");
    let parts = |pid| pglock::wait_graph().pid([pid]).fetch(&mut db.connect());
    assert_eq!(parts(0).unwrap().sessions().len(), 3);
    for gid in ["one", "a \"second\""] {
        db.execute(&format!("ROLLBACK PREPARED '{gid}'"));
    }
    waiter.finish();
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
fn a_parallel_worker_is_its_leader() {
    let db = database();
    db.execute(
        "CREATE TABLE rows (id int) WITH (parallel_workers = 2); INSERT INTO rows VALUES (1); \
         CREATE TABLE held (); CREATE TABLE kept (); \
         CREATE FUNCTION look() RETURNS bool PARALLEL SAFE LANGUAGE plpgsql AS \
         'BEGIN PERFORM FROM held; PERFORM FROM kept; RETURN true; END'",
    );
    let (keeper, keeper_pid) = holder(&db, "BEGIN; LOCK TABLE kept");
    let (mut leader, leader_pid) = holder(
        &db,
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; \
         SET parallel_leader_participation = off",
    );
    let query = std::thread::spawn(move || leader.batch_execute("SELECT FROM rows WHERE look()"));
    wait_until("a worker waits", BOUND, || !db.blocked_pids().is_empty());
    let worker_pid = db.blocked_pids()[0];
    assert_ne!(worker_pid, leader_pid, "the query was not run in parallel");
    let waiter = Waiter::start(&db, "ALTER TABLE held ADD id int");
    let expected = BTreeSet::from([
        (leader_pid, keeper_pid, true),
        (waiter.pid, leader_pid, true),
    ]);
    let graph = graph_of(&db);
    assert_eq!(edges(&graph), expected, "{graph:#?}");
    assert_eq!(graph.sessions().len(), 3);
    assert_eq!(roots(&graph), [keeper_pid]);
    // It is found by the worker's pid too.
    let graph_query = pglock::wait_graph().pid([worker_pid]);
    let graph = graph_query.fetch(&mut db.connect()).unwrap();
    assert_eq!(edges(&graph), expected);
    drop(keeper);
    query.join().unwrap().unwrap();
    waiter.finish();
}

#[test]
fn other_databases_are_in_it_where_they_are_tangled_up() {
    let here = database();
    let there = database();
    // A table that has the same number here.
    let (root, root_pid) = holder(&there, "BEGIN; LOCK TABLE pg_catalog.pg_largeobject");
    // What it locks belongs to no database.
    let shared = format!("BEGIN; COMMENT ON DATABASE {} IS 'ours'", here.name());
    let (between, _) = holder(&there, &shared);
    let between = Waiter::of(
        &there,
        between,
        "SELECT FROM pg_catalog.pg_largeobject; COMMIT",
    );
    let waiter = Waiter::start(&here, &format!("{shared}; COMMIT"));
    let (stranger, _) = holder(&there, "SELECT pg_advisory_lock(1)");
    let strange = Waiter::start(&there, "SELECT pg_advisory_lock(1)");

    let graph = graph_of(&here);
    assert_eq!(
        edges(&graph),
        BTreeSet::from([
            (waiter.pid, between.pid, true),
            (between.pid, root_pid, true)
        ])
    );
    let lock = graph.blockers_of(waiter.pid).next().unwrap().lock;
    assert_eq!(lock.kind, LockKind::Object);
    let lock = graph.blockers_of(between.pid).next().unwrap().lock;
    assert_eq!((lock.kind, &lock.rel_name), (LockKind::Relation, &None));
    assert_eq!(graph_of(&there).edges().len(), 3);
    drop((root, stranger));
    for waiter in [between, waiter, strange] {
        waiter.finish();
    }
}

#[test]
fn a_holder_blocks_exactly_the_conflicting_modes() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let mut holder = db.connect();
    let holder_pid = pid_of(&mut holder);
    let mut looker = db.connect();
    let mut conflicts = 0;
    for held in TableMode::ALL {
        for wanted in TableMode::ALL {
            let mut tx = holder.transaction().unwrap();
            pglock::table("orders").mode(held).lock(&mut tx).unwrap();
            let mut trying = looker.transaction().unwrap();
            let free = pglock::table("orders").mode(wanted).try_lock(&mut trying);
            trying.rollback().unwrap();
            if !free.unwrap() {
                conflicts += 1;
                let mode = wanted.as_str().replace('_', " ");
                let wait = format!("BEGIN; LOCK TABLE orders IN {mode} MODE; COMMIT");
                let waiter = Waiter::start(&db, &wait);
                let graph = pglock::wait_graph().fetch(&mut looker).unwrap();
                let expected = BTreeSet::from([(waiter.pid, holder_pid, true)]);
                assert_eq!(edges(&graph), expected, "{wanted} while {held} is held");
                tx.rollback().unwrap();
                waiter.finish();
            }
        }
    }
    // Those of the table in the manual.
    assert_eq!(conflicts, 38);
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
