//! Sessions of all kinds: prepared transactions, parallel workers, other databases.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use pglock::LockKind;
use pglock_tests::{BOUND, Waiter, database, wait_until};

use crate::{edges, graph_of, holder, roots};

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
