//! Graphs for the unit tests of this folder.

use std::collections::BTreeSet;
use std::time::Duration;

use super::build::LockRow;
use super::model::{Edge, WaitGraph, WaitSession};
use crate::view::{Activity, Lock, LockKind, LockMode};

pub(super) fn activity(pid: i32) -> Activity {
    Activity {
        pid,
        start: None,
        duration: None,
        query: None,
        context: None,
        state: None,
        xact_start: None,
        backend_start: None,
        state_change: None,
        wait_event_type: None,
        wait_event: None,
        backend_xid: None,
        backend_xmin: None,
        backend_type: None,
        application_name: None,
        user: None,
        client_addr: None,
        client_hostname: None,
        client_port: None,
    }
}

pub(super) fn session(pid: i32) -> WaitSession {
    WaitSession {
        activity: activity(pid),
        prepared: None,
    }
}

pub(super) fn lock(pid: i32, mode: LockMode, granted: bool) -> Lock {
    Lock {
        kind: LockKind::Advisory,
        mode,
        granted,
        wait_start: None,
        wait_duration: (!granted).then_some(Duration::from_millis(1500)),
        rel_kind: None,
        rel_name: None,
        schema: None,
        rel_of_row: false,
        advisory_key: None,
        advisory_name: None,
        classid: None,
        objid: None,
        objsubid: None,
        activity: activity(pid),
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
