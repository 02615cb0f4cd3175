//! The wait-for graph of real sessions.

mod asking;
mod cycles;
mod sessions;
mod waits;

use std::collections::BTreeSet;

use pglock::WaitGraph;
use pglock_tests::{TestDb, pid_of};
use postgres::Client;

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
