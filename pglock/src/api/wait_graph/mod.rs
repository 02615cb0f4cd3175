//! The wait-for graph: which session waits for which.

mod build;
mod components;
mod dot;
#[cfg(test)]
mod fixture;
mod model;
#[cfg(feature = "serde")]
mod serialize;
mod sql;
mod text;
mod tree;

use crate::api::locks::{refuse_unknown_tables, run_query};
use crate::background::block_on;
use crate::drivers::{AnyConnection, AsyncReader, AsyncReaderWire, BlockingWire};
use crate::error::Error;
use crate::model::table::TableName;
use crate::view;
use crate::wire::ExtendedQuery;
use build::LockRow;
use sql::GraphQuery;

pub use model::{PreparedTransaction, WaitEdge, WaitGraph, WaitSession};

/// The wait-for graph: which session waits for which, over locks of every kind.
///
/// It has the sessions that wait for a lock and the sessions that block them, in this database and, where they are
/// connected with these, in others. The sessions to look at first are its [roots](WaitGraph::roots).
///
/// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html), which is read once, and
/// [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION), which is
/// called once for each waiting session of the server, and stops the server's lock manager for a moment each time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// let graph = pglock::wait_graph().fetch(&mut client)?;
/// for root in graph.roots() {
///     println!("{} blocks others, and does not wait", root.activity.pid);
/// }
/// println!("{graph}"); // as a tree
/// std::fs::write(std::env::temp_dir().join("waits.dot"), graph.to_dot())?; // for `dot -Tsvg`
/// # Ok(())
/// # }
/// ```
pub fn wait_graph() -> WaitGraphQuery {
    WaitGraphQuery::default()
}

/// A query for the graph: see [`wait_graph`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is fetched before `fetch`"]
pub struct WaitGraphQuery {
    query: GraphQuery,
}

impl WaitGraphQuery {
    /// Only the components of the graph that contain one of these sessions, by pid; 0 stands for prepared transactions.
    ///
    /// A component is a set of sessions that edges connect. An empty list finds none. The last call replaces earlier
    /// ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// let graph = pglock::wait_graph().pid([pid]).fetch(&mut client)?;
    /// println!("{} sessions block {pid}", graph.blockers_of(pid).count());
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(mut self, pids: impl IntoIterator<Item = i32>) -> Self {
        self.query.pids = Some(pids.into_iter().collect());
        self
    }

    /// Only the components of the graph in which a session holds a lock on one of these tables, or waits for one; also on
    /// their partitions and children, and on what a view among them reads.
    ///
    /// An empty list finds none; a name without a relation is an error. The last call replaces earlier ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let graph = pglock::wait_graph().on(["orders"]).fetch(&mut client)?;
    /// assert!(graph.is_empty()); // no session waits
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<T: Into<TableName>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.query.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Fetches the graph, in one round trip, or two with [`on`](WaitGraphQuery::on); on sqlx twice as many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a table that does not exist, and in a transaction that an
    /// earlier error has aborted; [`Connect`](crate::ErrorKind::Connect) when the session has ended;
    /// [`Database`](crate::ErrorKind::Database) when Postgres refuses the query, which also aborts a transaction around
    /// it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let graph = pglock::wait_graph().fetch(&mut client)?;
    /// for cycle in graph.cycles() {
    ///     println!("{} sessions are in a deadlock", cycle.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch<C: AnyConnection + ?Sized>(self, connection: &mut C) -> Result<WaitGraph, Error> {
        block_on(self.find(&mut BlockingWire(connection)))
    }

    /// Like [`fetch`](WaitGraphQuery::fetch), for an async connection.
    ///
    /// It only reads, so tasks may share the client: pass `&mut &client`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, client) = pglock_tests::async_client().await;
    /// async fn watch(client: &tokio_postgres::Client) -> Result<(), pglock::Error> {
    ///     println!("{}", pglock::wait_graph().fetch_async(&mut &*client).await?);
    ///     Ok(())
    /// }
    /// # Ok(watch(&client).await?)
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again. The connection's next statement waits for the answer; on sqlx,
    /// it gets the error if the answer is one.
    pub async fn fetch_async<C: AsyncReader + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<WaitGraph, Error> {
        self.find(&mut AsyncReaderWire(connection)).await
    }

    async fn find(self, wire: &mut impl ExtendedQuery) -> Result<WaitGraph, Error> {
        refuse_unknown_tables(wire, self.query.tables.as_deref()).await?;
        let rows = run_query(wire, &sql::fetch(&self.query)).await?;
        Ok(build::graph(&view::read::<LockRow>(&rows)))
    }
}
