//! The graph as users see it.

use std::time::SystemTime;

use super::components::{Adjacency, strongly_connected};
use crate::view::{Activity, Lock};

/// Which session waits for which, in a database at one moment.
///
/// Returned by [`wait_graph`](crate::wait_graph). It has the sessions that wait for a lock, and those that block them.
///
/// `Display` draws it as a tree: below each session are those that it blocks. Each session is described once, and only
/// mentioned elsewhere. Statements are cut to one line, and control characters are replaced, so that they cannot affect
/// a terminal.
///
/// ```text
/// pid 4711 ("billing", user "app"), IDLE_IN_TRANSACTION, last statement 12 s ago: UPDATE orders SET paid = true
/// ├─ pid 4712 ("web", user "app") waits 9.1 s for ACCESS_EXCLUSIVE on table shop.orders: ALTER TABLE orders ADD note text
/// │  └─ pid 4713 ("web", user "app") is queued behind it 8.1 s for ACCESS_SHARE on table shop.orders: SELECT * FROM orders
/// └─ pid 4714 ("web", user "app") waits 3.2 s for SHARE on a transaction, for a row of shop.orders: UPDATE orders SET paid = false
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitGraph {
    pub(super) sessions: Vec<WaitSession>,
    /// The locks that are waited for, each with its waiter.
    pub(super) waits: Vec<Lock>,
    pub(super) edges: Vec<Edge>,
}

/// A session, or a prepared transaction, that waits for others or blocks them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitSession {
    /// The session; for a parallel worker, its leader. The pid is 0 for a prepared transaction.
    ///
    /// Roles without `pg_read_all_stats` cannot see the leader of another user's worker, so such a worker appears as a
    /// session of its own.
    pub activity: Activity,
    /// The prepared transaction, if it is one.
    pub prepared: Option<PreparedTransaction>,
}

/// A transaction that was prepared and holds its locks without a session until `COMMIT PREPARED` or `ROLLBACK
/// PREPARED`: a row of [`pg_prepared_xacts`](https://www.postgresql.org/docs/current/view-pg-prepared-xacts.html).
///
/// All fields are `None` if it ended while the graph was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreparedTransaction {
    /// The name that `PREPARE TRANSACTION` gave it.
    pub gid: Option<String>,
    /// The role that prepared it.
    pub owner: Option<String>,
    /// The database in which it must be committed or rolled back.
    pub database: Option<String>,
    /// When it was prepared.
    pub since: Option<SystemTime>,
}

/// One session waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitEdge<'g> {
    /// The session that waits.
    pub waiter: &'g WaitSession,
    /// The session that blocks it.
    pub blocker: &'g WaitSession,
    /// The lock that the waiter waits for: its kind, mode and name, and since when.
    pub lock: &'g Lock,
    /// Whether the blocker holds the lock, in a mode that conflicts with the waiter's.
    ///
    /// Otherwise the edge is soft: the blocker waits for the lock too, and is ahead of the waiter in the wait queue.
    pub hard: bool,
}

/// An edge, with the indices of its ends and of its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) waiter: usize,
    pub(super) blocker: usize,
    pub(super) wait: usize,
    pub(super) hard: bool,
}

impl WaitGraph {
    /// Whether no session waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The sessions that wait or block: the longest wait first, sessions that do not wait last.
    #[must_use]
    pub fn sessions(&self) -> &[WaitSession] {
        &self.sessions
    }

    /// Which session waits for which, and for which lock.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// for edge in pglock::wait_graph().fetch(&mut client)?.edges() {
    ///     let (waiter, blocker) = (edge.waiter.activity.pid, edge.blocker.activity.pid);
    ///     let word = if edge.hard { "waits for" } else { "is queued behind" };
    ///     println!("{waiter} {word} {blocker}, since {:?}", edge.lock.wait_start);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn edges(&self) -> impl ExactSizeIterator<Item = WaitEdge<'_>> {
        self.edges.iter().map(|edge| self.edge(edge))
    }

    /// The edges from this session to the sessions that block it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// for edge in pglock::wait_graph().fetch(&mut client)?.blockers_of(pid) {
    ///     println!("{} blocks {pid}", edge.blocker.activity.pid);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn blockers_of(&self, pid: i32) -> impl Iterator<Item = WaitEdge<'_>> {
        self.edges()
            .filter(move |edge| edge.waiter.activity.pid == pid)
    }

    /// The edges to this session from the sessions that it blocks; 0 stands for all prepared transactions.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// let graph = pglock::wait_graph().fetch(&mut client)?;
    /// println!("{} sessions wait for {pid}", graph.blocked_by(pid).count());
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocked_by(&self, pid: i32) -> impl Iterator<Item = WaitEdge<'_>> {
        self.edges()
            .filter(move |edge| edge.blocker.activity.pid == pid)
    }

    /// The sessions that block others and do not wait: when they continue or end, others can proceed. The one that
    /// causes the longest wait comes first.
    ///
    /// A deadlock has no root: see [`cycles`](WaitGraph::cycles).
    #[must_use]
    pub fn roots(&self) -> Vec<&WaitSession> {
        self.of(&self.root_nodes())
    }

    /// The deadlocks: for each, the sessions that wait for each other. In a simple cycle, each session comes before the
    /// one that it waits for.
    ///
    /// The server checks for deadlocks when a wait has lasted for
    /// [`deadlock_timeout`](https://www.postgresql.org/docs/current/runtime-config-locks.html#GUC-DEADLOCK-TIMEOUT). So
    /// these are recent, or that setting is high. The server then ends one of the waits or, where an edge is soft,
    /// reorders the wait queue.
    #[must_use]
    pub fn cycles(&self) -> Vec<Vec<&WaitSession>> {
        let cycles = self.cycle_nodes();
        cycles.iter().map(|cycle| self.of(cycle)).collect()
    }

    /// Adds a wait that the server doesn't know of: of a session that asks for a lock again and again, as who is first in
    /// line for a [`limit`](fn@crate::limit) does.
    ///
    /// `lock` is what its session waits for, and `blocker` the session that holds that. The wait comes behind those that have
    /// lasted for longer.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let mut other = database.connect();
    /// # client.batch_execute("SELECT pg_advisory_lock(1)")?;
    /// # other.batch_execute("SELECT pg_advisory_lock(2)")?;
    /// # let locks = pglock::locks().filter("kind=ADVISORY")?.fetch(&mut client)?;
    /// # let (held, mut wanted) = (locks[0].clone(), locks[0].clone());
    /// # wanted.activity = locks[1].activity.clone();
    /// # wanted.granted = false;
    /// let mut graph = pglock::wait_graph().fetch(&mut client)?;
    /// graph.add_wait(wanted, &held.activity);
    /// assert_eq!(graph.roots().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_wait(&mut self, lock: Lock, blocker: &Activity) {
        let waiter = self.session_of(&lock.activity);
        let blocker = self.session_of(blocker);
        let began = |wait: &Lock| (wait.wait_start.is_none(), wait.wait_start);
        let comes_first = |edge: &Edge| began(&self.waits[edge.wait]) <= began(&lock);
        let nth = self
            .edges
            .iter()
            .take_while(|edge| comes_first(edge))
            .count();
        let edge = Edge {
            waiter,
            blocker,
            wait: self.waits.len(),
            hard: true,
        };
        self.edges.insert(nth, edge);
        self.waits.push(lock);
    }

    /// Its number; of one that isn't there yet it is the next.
    fn session_of(&mut self, activity: &Activity) -> usize {
        let id = |activity: &Activity| (activity.pid, activity.backend_start);
        let is_it = |session: &WaitSession| id(&session.activity) == id(activity);
        self.sessions.iter().position(is_it).unwrap_or_else(|| {
            self.sessions.push(WaitSession {
                activity: activity.clone(),
                prepared: None,
            });
            self.sessions.len() - 1
        })
    }

    pub(super) fn edge(&self, edge: &Edge) -> WaitEdge<'_> {
        WaitEdge {
            waiter: &self.sessions[edge.waiter],
            blocker: &self.sessions[edge.blocker],
            lock: &self.waits[edge.wait],
            hard: edge.hard,
        }
    }

    pub(super) fn root_nodes(&self) -> Vec<usize> {
        let mut waits = vec![false; self.sessions.len()];
        for edge in &self.edges {
            waits[edge.waiter] = true;
        }
        let mut roots = Vec::new();
        // The edges are sorted by the length of the waits.
        for edge in &self.edges {
            if !std::mem::replace(&mut waits[edge.blocker], true) {
                roots.push(edge.blocker);
            }
        }
        roots
    }

    /// Cycles that others wait for come first.
    pub(super) fn cycle_nodes(&self) -> Vec<Vec<usize>> {
        let blockers = Adjacency::new(
            self.sessions.len(),
            self.edges.iter().map(|edge| (edge.waiter, edge.blocker)),
        );
        let mut components = strongly_connected(&blockers);
        components.retain(|component| component.len() > 1);
        components
    }

    fn of(&self, nodes: &[usize]) -> Vec<&WaitSession> {
        nodes.iter().map(|&node| &self.sessions[node]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::graph;
    use super::*;
    use crate::view::LockMode;
    use crate::view::fixture::{activity, lock};

    #[test]
    fn a_wait_that_is_added_comes_behind_those_that_have_lasted_for_longer() {
        let mut graph = graph(2, &[(1, 0, true)]);
        let began = |second| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        graph.waits[1].wait_start = began(2);
        for (waiter, second) in [(7, 1), (8, 3)] {
            let mut wait = lock(waiter, LockMode::Exclusive, false);
            wait.wait_start = began(second);
            graph.add_wait(wait, &activity(1000));
        }
        // Of one that is there already, and waits itself.
        graph.add_wait(lock(9, LockMode::Exclusive, false), &activity(7));
        let edges = graph.edges();
        let pids = edges.map(|edge| (edge.waiter.activity.pid, edge.blocker.activity.pid));
        let pids: Vec<_> = pids.collect();
        assert_eq!(pids, [(7, 1000), (1001, 1000), (8, 1000), (9, 7)]);
        assert_eq!(graph.sessions().len(), 5);
        let roots: Vec<_> = graph.roots().iter().map(|root| root.activity.pid).collect();
        assert_eq!(roots, [1000]);
    }
}
