//! Who waits for whom.

mod build;
mod components;
mod dot;
#[cfg(test)]
mod fixture;
mod model;
mod sql;
mod text;
mod tree;

use crate::api::locks::{refuse_unknown_tables, run_query};
use crate::background::block_on;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::Error;
use crate::model::table::TableName;
use crate::wire::ExtendedQuery;
use build::Entry;
use sql::GraphQuery;

pub use model::{PreparedTransaction, WaitEdge, WaitGraph, WaitSession};

/// The wait-for graph: which session waits for which, over locks of every kind.
///
/// It has the sessions that wait for a lock and those that are in their way, in this database and, where they are tangled
/// up with these, in others. The sessions to look at are its [roots](WaitGraph::roots).
///
/// Stands on [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html), which is read once, and on
/// [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION), which is
/// asked once for each session of the server that waits, and stops the server's lock manager for a moment each time.
/// Postgres 14 or newer.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// let graph = pglock::wait_graph().fetch(&mut client)?;
/// for root in graph.roots() {
///     println!("{} blocks others, and waits for nobody", root.activity.pid);
/// }
/// println!("{graph}"); // as a tree
/// std::fs::write(std::env::temp_dir().join("waits.dot"), graph.to_dot())?; // for `dot -Tsvg`
/// # Ok(())
/// # }
/// ```
pub fn wait_graph() -> WaitGraphQuery {
    WaitGraphQuery::default()
}

/// A graph to be fetched: see [`wait_graph`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is asked before `fetch`"]
pub struct WaitGraphQuery {
    asked: GraphQuery,
}

impl WaitGraphQuery {
    /// Only the parts of the graph that have one of these sessions in them, by pid; 0 stands for prepared transactions.
    ///
    /// A part is all that hangs together. It is empty for an empty list. The last call counts.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// let graph = pglock::wait_graph().pid([pid]).fetch(&mut client)?;
    /// println!("{} sessions are in the way of {pid}", graph.blockers_of(pid).count());
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(mut self, pids: impl IntoIterator<Item = i32>) -> Self {
        self.asked.pids = Some(pids.into_iter().collect());
        self
    }

    /// Only the parts of the graph in which a session holds a lock on one of these tables, or waits for one.
    ///
    /// It is empty for an empty list; a name that is no relation's is an error. The last call counts.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let graph = pglock::wait_graph().on(["orders"]).fetch(&mut client)?;
    /// assert!(graph.is_empty()); // nobody waits
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<T: Into<TableName>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.asked.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Asks for the graph, in one round trip, or two with [`on`](WaitGraphQuery::on).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a table that does not exist, and in a transaction that an
    /// earlier error has aborted; [`Connect`](crate::ErrorKind::Connect) when the session has ended;
    /// [`Database`](crate::ErrorKind::Database) when Postgres refuses, which also aborts a transaction around it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let graph = pglock::wait_graph().fetch(&mut client)?;
    /// for ring in graph.cycles() {
    ///     println!("{} sessions are in a deadlock", ring.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch<C: AnyConnection + ?Sized>(self, connection: &mut C) -> Result<WaitGraph, Error> {
        block_on(self.find(&mut BlockingWire(connection)))
    }

    /// Like [`fetch`](WaitGraphQuery::fetch).
    ///
    /// # Errors
    ///
    /// As [`fetch`](WaitGraphQuery::fetch).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, nothing is left behind, and asking again is safe. The connection's next statement waits for
    /// the answer, and on sqlx it gets the error, where the answer is one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let graph = pglock::wait_graph().fetch_async(&mut client).await?;
    /// println!("{graph}"); // as a tree
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<WaitGraph, Error> {
        self.find(&mut AsyncWire(connection)).await
    }

    async fn find(self, wire: &mut impl ExtendedQuery) -> Result<WaitGraph, Error> {
        refuse_unknown_tables(wire, self.asked.tables.as_deref()).await?;
        let rows = run_query(wire, &sql::fetch(&self.asked)).await?;
        let entries = rows.iter().filter_map(|row| Entry::from_row(&row));
        Ok(build::graph(&entries.collect::<Vec<_>>()))
    }
}
