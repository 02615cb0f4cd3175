//! From the server's rows to the graph. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use super::components::components;
use super::model::{Edge, PreparedTransaction, WaitGraph, WaitSession};
use super::sql::Column;
use crate::sql::Row;
use crate::view::{FromRow, Lock, Sessions};

/// One session that holds a lock that is waited for, or waits for it.
#[derive(Clone, Debug)]
pub(super) struct LockRow {
    pub(super) lock: Lock,
    /// Equal in two rows about the same lock.
    pub(super) tag: String,
    /// The pids of the sessions that block it, according to the server.
    pub(super) blockers: BTreeSet<i32>,
    /// Whether it waited from the reading of the locks until the server had named the blockers of all waiters.
    pub(super) still_waits: bool,
    /// Distinguishes prepared transactions.
    pub(super) transaction: String,
    pub(super) prepared: Option<PreparedTransaction>,
    /// A component is wanted if each of its marks is true of some row in it.
    pub(super) marks: Vec<bool>,
}

impl FromRow for LockRow {
    const BLOCKED: bool = false;

    fn from_row(row: &Row<'_>, sessions: &Sessions) -> Option<Self> {
        let text = |column: Column| row.text(column.index());
        let owned = |column: Column| text(column).map(str::to_owned);
        let lossy = |column: Column| row.lossy(column.index());
        let lock = Lock::from_row(row, sessions)?;
        let since = row.parsed(Column::PreparedAt.index());
        let prepared = (lock.activity.pid == 0).then(|| PreparedTransaction {
            gid: lossy(Column::Gid),
            owner: lossy(Column::Owner),
            database: lossy(Column::Database),
            since: since.and_then(|micros| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
            }),
        });
        let marks = (Column::Marks.index()..).map_while(|column| row.text(column));
        Some(Self {
            lock,
            tag: owned(Column::Tag)?,
            blockers: pids(text(Column::Blockers).unwrap_or_default()),
            still_waits: text(Column::StillWaits) == Some("true"),
            transaction: owned(Column::Transaction)?,
            prepared,
            marks: marks.map(|mark| mark == "true").collect(),
        })
    }

    fn lock(&mut self) -> &mut Lock {
        &mut self.lock
    }

    fn queries(&self) -> [Option<&str>; 2] {
        self.lock.queries()
    }
}

impl LockRow {
    fn node_id(&self) -> NodeId<'_> {
        match self.lock.activity.pid {
            0 => NodeId::Prepared(&self.transaction),
            pid => NodeId::Backend(pid),
        }
    }

    /// Whether it blocks the waiter, which waits for the same lock.
    ///
    /// The locks alone show who holds what at that moment, but not the order of the queue. The server named the
    /// blockers later: a session that was first then may have acquired the lock since, and queued again behind the
    /// other.
    fn blocks(&self, waiter: &Self) -> bool {
        self.node_id() != waiter.node_id()
            && self.lock.mode.conflicts_with(waiter.lock.mode)
            && waiter.blockers.contains(&self.lock.activity.pid)
            && (self.lock.granted || self.still_waits && waiter.still_waits)
    }
}

/// The identity of a session, which is a node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum NodeId<'e> {
    Backend(i32),
    Prepared(&'e str),
}

/// The components of the graph that were asked for.
pub(super) fn graph(rows: &[LockRow]) -> WaitGraph {
    let mut nodes = HashMap::new();
    let mut sessions: Vec<&LockRow> = Vec::new();
    let mut marks: Vec<Vec<bool>> = Vec::new();
    let mut of_lock: HashMap<&str, Vec<&LockRow>> = HashMap::new();
    for row in rows {
        let node = *nodes.entry(row.node_id()).or_insert_with(|| {
            sessions.push(row);
            marks.push(Vec::new());
            sessions.len() - 1
        });
        add_marks(&mut marks[node], &row.marks);
        of_lock.entry(&row.tag).or_default().push(row);
    }

    let mut edges = Vec::new();
    for (wait, waiter) in rows.iter().enumerate() {
        if waiter.lock.granted {
            continue;
        }
        // A session that holds the lock and waits for a stronger mode of it can block twice.
        let mut blockers = BTreeMap::new();
        let others = &of_lock[waiter.tag.as_str()];
        for row in others.iter().filter(|row| row.blocks(waiter)) {
            *blockers.entry(nodes[&row.node_id()]).or_insert(false) |= row.lock.granted;
        }
        edges.extend(blockers.into_iter().map(|(blocker, hard)| Edge {
            waiter: nodes[&waiter.node_id()],
            blocker,
            wait,
            hard,
        }));
    }

    let ends = edges.iter().map(|edge| (edge.waiter, edge.blocker));
    let component_of = components(sessions.len(), ends);
    let mut marks_of_component = vec![Vec::new(); sessions.len()];
    for (marks, component) in marks.iter().zip(&component_of) {
        add_marks(&mut marks_of_component[*component], marks);
    }
    edges.retain(|edge| !marks_of_component[component_of[edge.waiter]].contains(&false));
    numbered(rows, &sessions, edges)
}

fn add_marks(to: &mut Vec<bool>, marks: &[bool]) {
    to.resize(marks.len(), false);
    for (to, mark) in to.iter_mut().zip(marks) {
        *to |= mark;
    }
}

/// The graph of the sessions and waits that the edges name, and no others.
fn numbered(rows: &[LockRow], sessions: &[&LockRow], mut edges: Vec<Edge>) -> WaitGraph {
    let ends = edges.iter().flat_map(|edge| [edge.waiter, edge.blocker]);
    let ends: BTreeSet<usize> = ends.collect();
    let waits: BTreeSet<usize> = edges.iter().map(|edge| edge.wait).collect();
    let number = |named: &BTreeSet<usize>| -> HashMap<usize, usize> {
        named
            .iter()
            .enumerate()
            .map(|(new, old)| (*old, new))
            .collect()
    };
    let (session_number, wait_number) = (number(&ends), number(&waits));
    for edge in &mut edges {
        edge.waiter = session_number[&edge.waiter];
        edge.blocker = session_number[&edge.blocker];
        edge.wait = wait_number[&edge.wait];
    }
    let session = |node: &usize| WaitSession {
        activity: sessions[*node].lock.activity.clone(),
        prepared: sessions[*node].prepared.clone(),
    };
    WaitGraph {
        sessions: ends.iter().map(session).collect(),
        waits: waits.iter().map(|wait| rows[*wait].lock.clone()).collect(),
        edges,
    }
}

/// Parses an array of integers as Postgres writes it.
fn pids(array: &str) -> BTreeSet<i32> {
    let list = array.trim_start_matches('{').trim_end_matches('}');
    list.split(',').filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::row;
    use super::*;
    use crate::view::LockMode::{
        AccessExclusive, AccessShare, Exclusive, Share, ShareRowExclusive,
    };

    fn edges(rows: &[LockRow]) -> Vec<(i32, i32, bool)> {
        let graph = graph(rows);
        let edges = graph.edges().map(|edge| {
            let (waiter, blocker) = (&edge.waiter.activity, &edge.blocker.activity);
            assert_eq!(edge.lock.activity.pid, waiter.pid);
            (waiter.pid, blocker.pid, edge.hard)
        });
        edges.collect()
    }

    #[test]
    fn holders_are_distinguished_from_sessions_ahead_in_the_queue() {
        let rows = [
            row(1, "t", AccessShare, None),
            row(2, "t", AccessShare, None),
            // Holds a weak mode, and waits for a strong one.
            row(2, "t", AccessExclusive, Some(&[1])),
            row(3, "t", AccessShare, Some(&[2])),
        ];
        assert_eq!(edges(&rows), [(2, 1, true), (3, 2, false)]);
        // Blocks twice, once as a holder.
        let rows = [
            row(2, "t", Share, None),
            row(1, "t", Share, None),
            row(2, "t", AccessExclusive, Some(&[1])),
            row(3, "t", ShareRowExclusive, Some(&[1, 2, 2])),
        ];
        assert_eq!(edges(&rows), [(2, 1, true), (3, 2, true), (3, 1, true)]);
    }

    #[test]
    fn edges_that_the_locks_do_not_confirm_are_dropped() {
        let rows = [
            row(1, "t", Exclusive, None),
            // It waited for another lock by the time the server named the blockers of the others.
            row(1, "u", Exclusive, Some(&[2])),
            row(2, "t", Exclusive, Some(&[1, 3, 4])),
            row(3, "u", Exclusive, None),
            row(4, "t", Share, None),
        ];
        assert_eq!(edges(&rows), [(2, 1, true), (2, 4, true)]);
        assert!(graph(&rows).cycles().is_empty());
        // It holds the lock, but the server does not name it as a blocker.
        let rows = [row(1, "t", Exclusive, None), row(2, "t", Share, Some(&[]))];
        assert!(graph(&rows).is_empty());
        // A worker and its leader.
        let rows = [
            row(1, "t", Exclusive, None),
            row(1, "t", Exclusive, Some(&[1])),
        ];
        assert!(graph(&rows).is_empty());
    }

    #[test]
    fn the_order_of_a_queue_that_moved_is_dropped() {
        let moved = |row: LockRow| LockRow {
            still_waits: false,
            ..row
        };
        let holder = row(1, "t", Exclusive, None);
        let first = row(2, "t", Exclusive, Some(&[1]));
        let second = row(3, "t", Exclusive, Some(&[1, 2]));
        let to_the_holder = [(2, 1, true), (3, 1, true)];
        let and_in_the_queue = [(2, 1, true), (3, 2, false), (3, 1, true)];
        for (first, second, expected) in [
            (first.clone(), second.clone(), &and_in_the_queue[..]),
            (moved(first.clone()), second.clone(), &to_the_holder),
            (first, moved(second), &to_the_holder),
        ] {
            assert_eq!(edges(&[first, second, holder.clone()]), expected);
        }
    }

    #[test]
    fn prepared_transactions_are_distinguished_and_only_blocking_ones_are_named() {
        let prepared = |transaction: &str, mode| LockRow {
            transaction: transaction.to_owned(),
            prepared: Some(PreparedTransaction {
                gid: Some(format!("gid of {transaction}")),
                ..PreparedTransaction::default()
            }),
            ..row(0, "t", mode, None)
        };
        let rows = [
            prepared("3/17", Share),
            prepared("3/18", AccessShare),
            prepared("-1/733", Share),
            prepared("-1/733", ShareRowExclusive),
            row(1, "t", Exclusive, Some(&[0, 0])),
        ];
        let graph = graph(&rows);
        let gids: Vec<_> = graph
            .roots()
            .iter()
            .map(|root| root.prepared.as_ref().unwrap().gid.as_deref().unwrap())
            .collect();
        assert_eq!(gids, ["gid of 3/17", "gid of -1/733"]);
        assert_eq!(graph.edges().len(), 2);
    }

    #[test]
    fn a_component_has_each_mark_on_some_session() {
        let marked = |row: LockRow, marks: [bool; 2]| LockRow {
            marks: marks.to_vec(),
            ..row
        };
        let rows = [
            marked(row(1, "t", Exclusive, None), [true, false]),
            marked(row(2, "t", Exclusive, Some(&[1])), [false, false]),
            marked(row(2, "u", Exclusive, None), [false, false]),
            marked(row(3, "u", Exclusive, Some(&[2])), [false, true]),
            marked(row(4, "v", Exclusive, None), [true, false]),
            marked(row(5, "v", Exclusive, Some(&[4])), [true, false]),
            // Holds a lock that nobody waits for.
            marked(row(5, "w", Exclusive, None), [false, false]),
            marked(row(6, "x", Exclusive, None), [true, true]),
        ];
        let graph = graph(&rows);
        let pids = |sessions: &[WaitSession]| -> Vec<i32> {
            sessions
                .iter()
                .map(|session| session.activity.pid)
                .collect()
        };
        assert_eq!(pids(graph.sessions()), [1, 2, 3]);
        assert_eq!(graph.edges().len(), 2);
    }

    #[test]
    fn arrays_are_read_as_the_server_writes_them() {
        assert_eq!(pids("{}"), BTreeSet::new());
        assert_eq!(pids("{7,0,7,-1}"), BTreeSet::from([-1, 0, 7]));
    }
}
