//! Canceling and ending the sessions behind locks.

use super::{Locks, query, refuse_unknown_tables};
use crate::background::block_on;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::Error;
use crate::telemetry::{SignalReport, TraceContext};
use crate::view::fields::Entity;
use crate::view::sql::{self, Signal};
use crate::view::{BlockedLock, FromRow};
use crate::wire::ExtendedQuery;

impl<R: FromRow> Locks<R> {
    /// Lets [`terminate_activity`](Locks::terminate_activity) and its like end the session that asks, too.
    ///
    /// It is ended last, so that the answer still comes; the connection is closed then.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// client.batch_execute("SELECT pg_advisory_lock(1)")?;
    /// let ended = pglock::locks().filter("kind=ADVISORY")?.include_own_session().terminate_activity(&mut client)?;
    /// assert_eq!(ended.len(), 1); // and the connection is closed
    /// # Ok(())
    /// # }
    /// ```
    pub fn include_own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// Cancels the statements of the sessions that hold the locks, or wait for them; answers whom it hit, by pid.
    ///
    /// They are found and hit in one statement: those of the rows that [`fetch`](Locks::fetch) would have found.
    /// A session that idles has nothing to cancel, and keeps its locks, though it counts as hit. Sessions that have
    /// ended, that we have no right to hit, or that are prepared transactions are passed over, and so is our own.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// Stands on [`pg_cancel_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL),
    /// which needs the rights of the other session's role, or of `pg_signal_backend`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let canceled: Vec<i32> = pglock::locks()
    ///     .on(["orders"])
    ///     .filter("activity__duration__gt=1 minute")?
    ///     .cancel_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Activity,
            Signal::Cancel,
        ))
    }

    /// Ends the sessions that hold the locks, or wait for them; answers whom it hit, by pid.
    ///
    /// As [`cancel_activity`](Locks::cancel_activity), but for what is done: their transactions are rolled back and
    /// their locks released, a moment after the answer.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// Stands on [`pg_terminate_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let ended: Vec<i32> = pglock::locks()
    ///     .on(["orders"])
    ///     .filter("activity__state=IDLE_IN_TRANSACTION")?
    ///     .terminate_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Activity,
            Signal::Terminate,
        ))
    }

    /// Like [`cancel_activity`](Locks::cancel_activity).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, they may be hit all the same, and nobody is told who was. Calling it again hits
    /// those that are found then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let canceled: Vec<i32> = pglock::locks()
    ///     .filter("activity__duration__gt=1 minute")?
    ///     .cancel_activity_async(&mut client)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        self.signal(&mut AsyncWire(connection), Entity::Activity, Signal::Cancel)
            .await
    }

    /// Like [`terminate_activity`](Locks::terminate_activity).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async). Our own session, which would be ended last, may be
    /// left.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let ended: Vec<i32> = pglock::locks()
    ///     .filter("activity__state=IDLE_IN_TRANSACTION")?
    ///     .terminate_activity_async(&mut client)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn terminate_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        self.signal(
            &mut AsyncWire(connection),
            Entity::Activity,
            Signal::Terminate,
        )
        .await
    }

    async fn signal(
        self,
        wire: &mut impl ExtendedQuery,
        whom: Entity,
        signal: Signal,
    ) -> Result<Vec<i32>, Error> {
        refuse_unknown_tables(wire, self.asked.tables.as_deref()).await?;
        // What our own session runs is this statement, and canceling it would only lose the answer.
        let own = self.own_session && signal == Signal::Terminate;
        let statement = sql::signal(&self.asked, R::BLOCKED, whom, signal, own);
        let rows = query(wire, &statement).await?;
        let signaled: Vec<i32> = rows.iter().filter_map(|row| row.parsed(0)).collect();
        for pid in &signaled {
            SignalReport::of(*pid, signal.done()).emit(&TraceContext::here());
        }
        if rows.iter().any(|row| row.parsed(1) == Some(true)) {
            // It can only fail: the session ends before it could answer.
            let _ = wire.query(sql::TERMINATE_OWN, &[]).await;
        }
        Ok(signaled)
    }
}

impl Locks<BlockedLock> {
    /// Cancels the statements of the sessions that are in the way; answers whom it hit, by pid.
    ///
    /// As [`cancel_activity`](Locks::cancel_activity), for the [`blocking_activity`](BlockedLock::blocking_activity).
    /// A session that idles in a transaction has nothing to cancel, and goes on blocking:
    /// [`terminate_blocking_activity`](Locks::terminate_blocking_activity) ends it.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let canceled: Vec<i32> = pglock::blocked_locks()
    ///     .filter("wait_duration__gte=5 seconds")?
    ///     .cancel_blocking_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_blocking_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Blocker,
            Signal::Cancel,
        ))
    }

    /// Ends the sessions that are in the way; answers whom it hit, by pid.
    ///
    /// As [`terminate_activity`](Locks::terminate_activity), for the
    /// [`blocking_activity`](BlockedLock::blocking_activity).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let killed: Vec<i32> = pglock::blocked_locks()
    ///     .filter("wait_duration__gte=5 seconds")?
    ///     .terminate_blocking_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate_blocking_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Blocker,
            Signal::Terminate,
        ))
    }

    /// Like [`cancel_blocking_activity`](Locks::cancel_blocking_activity).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let canceled: Vec<i32> = pglock::blocked_locks()
    ///     .filter("wait_duration__gte=5 seconds")?
    ///     .cancel_blocking_activity_async(&mut client)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_blocking_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        self.signal(&mut AsyncWire(connection), Entity::Blocker, Signal::Cancel)
            .await
    }

    /// Like [`terminate_blocking_activity`](Locks::terminate_blocking_activity).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let ended: Vec<i32> = pglock::blocked_locks()
    ///     .filter("wait_duration__gte=5 seconds")?
    ///     .terminate_blocking_activity_async(&mut client)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn terminate_blocking_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<i32>, Error> {
        self.signal(
            &mut AsyncWire(connection),
            Entity::Blocker,
            Signal::Terminate,
        )
        .await
    }
}
