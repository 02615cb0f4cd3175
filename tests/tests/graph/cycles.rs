//! Deadlocks, and what only looks like one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use pglock_tests::{Waiter, database};

use crate::{cycles, graph_of, holder};

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
