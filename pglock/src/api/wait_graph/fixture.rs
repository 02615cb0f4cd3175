//! Graphs for the unit tests of this folder.

use std::collections::BTreeSet;

use super::build::LockRow;
use super::model::{Edge, WaitGraph, WaitSession};
use crate::view::LockMode;
use crate::view::fixture::{activity, lock};

pub(super) fn session(pid: i32) -> WaitSession {
    WaitSession {
        activity: activity(pid),
        prepared: None,
    }
}

/// A session that holds the lock `tag`, or waits for it while those pids block it.
pub(super) fn row(pid: i32, tag: &str, mode: LockMode, waits_for: Option<&[i32]>) -> LockRow {
    LockRow {
        lock: lock(pid, mode, waits_for.is_none()),
        tag: tag.to_owned(),
        blockers: waits_for.into_iter().flatten().copied().collect(),
        still_waits: true,
        transaction: pid.to_string(),
        prepared: None,
        marks: vec![true],
    }
}

/// Sessions with the pids 1000, 1001, .., and edges as (waiter, blocker, hard), by index.
pub(super) fn graph(sessions: usize, edges: &[(usize, usize, bool)]) -> WaitGraph {
    let pid = |node: usize| 1000 + i32::try_from(node).unwrap();
    let ends: BTreeSet<(usize, usize)> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
    let edges = ends.into_iter().map(|(waiter, blocker)| Edge {
        waiter,
        blocker,
        wait: waiter,
        hard: edges.contains(&(waiter, blocker, true)),
    });
    WaitGraph {
        sessions: (0..sessions).map(|node| session(pid(node))).collect(),
        waits: (0..sessions)
            .map(|node| lock(pid(node), LockMode::Exclusive, false))
            .collect(),
        edges: edges.collect(),
    }
}

pub(super) mod strategy {
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A number of sessions, and edges between any two of them.
    pub(crate) fn edges() -> impl Strategy<Value = (usize, Vec<(usize, usize, bool)>)> {
        (2..12_usize).prop_flat_map(|sessions| {
            let edge = (0..sessions, 1..sessions, any::<bool>());
            // Nobody waits for itself.
            let edge = edge
                .prop_map(move |(waiter, away, hard)| (waiter, (waiter + away) % sessions, hard));
            (Just(sessions), vec(edge, 0..30))
        })
    }
}
