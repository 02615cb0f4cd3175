//! The graph as its users see it.

use std::time::SystemTime;

use super::components::{Adjacency, strongly_connected};
use crate::view::{Activity, Lock};

/// Which session waits for which: a moment of a database.
///
/// Found by [`wait_graph`](crate::wait_graph). It has the sessions that wait for a lock, and those that keep them waiting.
///
/// `Display` draws it as a tree: below each session are those that it blocks. Each is described once, and mentioned
/// where else it belongs. Statements are cut to a line, and what a terminal could take for an order is taken out.
///
/// ```text
/// pid 4711 ("billing", user "app"), IDLE_IN_TRANSACTION, last statement 12 s ago: UPDATE orders SET paid = true
/// ├─ pid 4712 ("web", user "app") waits 9.1 s for ACCESS_EXCLUSIVE on table shop.orders: ALTER TABLE orders ADD note text
/// │  └─ pid 4713 ("web", user "app") is queued behind it 8.0 s for ACCESS_SHARE on table shop.orders: SELECT * FROM orders
/// └─ pid 4714 ("web", user "app") waits 3.2 s for SHARE on a transaction: UPDATE orders SET paid = false
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitGraph {
    pub(super) sessions: Vec<WaitSession>,
    /// The locks that are waited for, each with who waits.
    pub(super) waits: Vec<Lock>,
    pub(super) edges: Vec<Edge>,
}

/// A session, or a prepared transaction, that waits for others or keeps them waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitSession {
    /// The session; of a parallel worker, that of its leader. Its pid is 0 for a prepared transaction.
    ///
    /// Roles without `pg_read_all_stats` can't see whose worker another user's worker is; it stands for itself then.
    pub activity: Activity,
    /// What is known of the prepared transaction, if it is one.
    pub prepared: Option<PreparedTransaction>,
}

/// A transaction that waits for `COMMIT PREPARED` or `ROLLBACK PREPARED`, and holds its locks without a session: a row of
/// [`pg_prepared_xacts`](https://www.postgresql.org/docs/current/view-pg-prepared-xacts.html).
///
/// All is `None` for one that ended while it was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreparedTransaction {
    /// The name that `PREPARE TRANSACTION` gave it.
    pub gid: Option<String>,
    /// The role that prepared it.
    pub owner: Option<String>,
    /// The database that it has to be ended in.
    pub database: Option<String>,
    /// When it was prepared.
    pub since: Option<SystemTime>,
}

/// A session waits for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitEdge<'g> {
    /// Who waits.
    pub waiter: &'g WaitSession,
    /// Who is in the way.
    pub blocker: &'g WaitSession,
    /// The lock that is waited for: its kind, mode and name, and since when.
    pub lock: &'g Lock,
    /// Whether the blocker holds the lock, in a mode that keeps the waiter's out.
    ///
    /// Otherwise it is a soft edge: the blocker waits for the lock as well, and stands before the waiter in the queue.
    pub hard: bool,
}

/// An edge by the places of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) waiter: usize,
    pub(super) blocker: usize,
    pub(super) wait: usize,
    pub(super) hard: bool,
}

impl WaitGraph {
    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The sessions that wait or are in the way: who waits longest comes first, who doesn't wait comes last.
    #[must_use]
    pub fn sessions(&self) -> &[WaitSession] {
        &self.sessions
    }

    /// Who waits for whom, and for which lock.
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

    /// The edges from this session to those that are in its way.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// for edge in pglock::wait_graph().fetch(&mut client)?.blockers_of(pid) {
    ///     println!("{} is in the way of {pid}", edge.blocker.activity.pid);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn blockers_of(&self, pid: i32) -> impl Iterator<Item = WaitEdge<'_>> {
        self.edges()
            .filter(move |edge| edge.waiter.activity.pid == pid)
    }

    /// The edges to this session from those that it blocks; 0 stands for all prepared transactions.
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

    /// The sessions that block others and wait for nobody: when they go on or end, others can. The longest wait that they
    /// cause comes first.
    ///
    /// In a deadlock nobody is one: see [`cycles`](WaitGraph::cycles).
    #[must_use]
    pub fn roots(&self) -> Vec<&WaitSession> {
        self.of(&self.root_places())
    }

    /// The sessions that wait for each other: for each deadlock those that are in it, in a ring each before the one that
    /// it waits for, unless rings are tangled.
    ///
    /// The server looks for deadlocks when a wait has lasted for
    /// [`deadlock_timeout`](https://www.postgresql.org/docs/current/runtime-config-locks.html#GUC-DEADLOCK-TIMEOUT), so
    /// these are young, or that is set high. It ends one of the waits then; where an edge is soft, it may only change the
    /// order of the queue.
    #[must_use]
    pub fn cycles(&self) -> Vec<Vec<&WaitSession>> {
        let cycles = self.cycle_places();
        cycles.iter().map(|cycle| self.of(cycle)).collect()
    }

    pub(super) fn edge(&self, edge: &Edge) -> WaitEdge<'_> {
        WaitEdge {
            waiter: &self.sessions[edge.waiter],
            blocker: &self.sessions[edge.blocker],
            lock: &self.waits[edge.wait],
            hard: edge.hard,
        }
    }

    pub(super) fn root_places(&self) -> Vec<usize> {
        let mut waits = vec![false; self.sessions.len()];
        for edge in &self.edges {
            waits[edge.waiter] = true;
        }
        let mut roots = Vec::new();
        // The edges are in the order of the waits.
        for edge in &self.edges {
            if !std::mem::replace(&mut waits[edge.blocker], true) {
                roots.push(edge.blocker);
            }
        }
        roots
    }

    /// Those that others wait for come first.
    pub(super) fn cycle_places(&self) -> Vec<Vec<usize>> {
        let blockers = Adjacency::new(
            self.sessions.len(),
            self.edges.iter().map(|edge| (edge.waiter, edge.blocker)),
        );
        let mut components = strongly_connected(&blockers);
        components.retain(|component| component.len() > 1);
        components
    }

    fn of(&self, places: &[usize]) -> Vec<&WaitSession> {
        places.iter().map(|&place| &self.sessions[place]).collect()
    }
}
