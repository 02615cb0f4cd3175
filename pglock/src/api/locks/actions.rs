//! Canceling and terminating the sessions behind locks.

use std::marker::PhantomData;

use super::{Locks, refuse_unknown_tables, run_query};
use crate::background::block_on;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::Error;
use crate::sql::cancel::TERMINATE_OWN_SESSION;
use crate::telemetry::TraceContext;
use crate::view::fields::Entity;
use crate::view::sql::{self, Signal, SignalColumn};
use crate::view::{BlockedLock, FromRow};
use crate::watcher::Blocker;
use crate::wire::ExtendedQuery;

/// What an action returns.
pub trait FromSessions {
    #[doc(hidden)]
    fn from_sessions(sessions: Vec<Blocker>) -> Self;
}

/// The pids of those that were signaled.
impl FromSessions for Vec<i32> {
    fn from_sessions(sessions: Vec<Blocker>) -> Self {
        let signaled = sessions.iter().filter(|session| session.was_signaled());
        signaled.map(|session| session.pid).collect()
    }
}

impl FromSessions for Vec<Blocker> {
    fn from_sessions(sessions: Vec<Blocker>) -> Self {
        sessions
    }
}

impl<R: FromRow> Locks<R> {
    /// Has the actions return a row for each session that they find, with what was done to it or why it was left alone,
    /// instead of the pids of those that were signaled.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// use pglock::{Blocker, BlockerAction, Spared};
    ///
    /// let found: Vec<Blocker> = pglock::blocked_locks().report().terminate_blocking_activity(&mut client)?;
    /// for session in &found {
    ///     println!("{session}"); // pid 16091 ("report") of user "etl": spared because our role may not signal it
    /// }
    /// let is_denied = |session: &Blocker| session.action == BlockerAction::Spared(Spared::Denied);
    /// assert!(!found.iter().any(is_denied));
    /// # Ok(())
    /// # }
    /// ```
    pub fn report(self) -> Locks<R, Vec<Blocker>> {
        Locks {
            query: self.query,
            own_session: self.own_session,
            #[cfg(feature = "toml")]
            database: self.database,
            returns: PhantomData,
        }
    }
}

impl<R: FromRow, A: FromSessions> Locks<R, A> {
    /// Lets the terminating actions also terminate the session that runs the query.
    ///
    /// It is terminated last, so that the answer arrives; then the connection is closed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// client.batch_execute("SELECT pg_advisory_lock(1)")?;
    /// let terminated = pglock::locks().filter("kind=ADVISORY")?.include_own_session().terminate_activity(&mut client)?;
    /// assert_eq!(terminated.len(), 1); // and the connection is closed
    /// # Ok(())
    /// # }
    /// ```
    pub fn include_own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// Cancels the running statements of the sessions that hold or wait for the locks. Returns the pids of the signaled
    /// sessions.
    ///
    /// The sessions are found and signaled in one statement: those of the rows that [`fetch`](Locks::fetch) would
    /// return. An idle session has nothing to cancel and keeps its locks: it is left alone, in a transaction or outside.
    /// So are sessions that have ended or that the role is not allowed to signal, prepared transactions, and the session
    /// that runs the query:
    /// [`report`](Locks::report) has the actions say so. With the feature `tracing` they are the events `pglock.signal`
    /// and `pglock.spared`.
    ///
    /// See also
    /// [`pg_cancel_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL),
    /// which needs the privileges of the other session's role, or of `pg_signal_backend`.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
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
    ) -> Result<A, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Activity,
            Signal::Cancel,
        ))
    }

    /// Terminates the sessions that hold or wait for the locks. Returns the pids of the signaled sessions.
    ///
    /// They are found as by [`cancel_activity`](Locks::cancel_activity). Their transactions are rolled back and their
    /// locks released shortly after the answer.
    ///
    /// See also
    /// [`pg_terminate_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let terminated: Vec<i32> = pglock::locks()
    ///     .on(["orders"])
    ///     .filter("activity__state=IDLE_IN_TRANSACTION")?
    ///     .terminate_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Activity,
            Signal::Terminate,
        ))
    }

    /// Like [`cancel_activity`](Locks::cancel_activity), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped after its first poll, the sessions may be signaled all the same, and their pids are lost.
    /// Calling it again signals the sessions that it finds then.
    pub async fn cancel_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
        self.signal(&mut AsyncWire(connection), Entity::Activity, Signal::Cancel)
            .await
    }

    /// Like [`terminate_activity`](Locks::terminate_activity), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async). With
    /// [`include_own_session`](Locks::include_own_session), the session that runs the query may be left.
    pub async fn terminate_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
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
        target: Entity,
        signal: Signal,
    ) -> Result<A, Error> {
        refuse_unknown_tables(wire, self.query.tables.as_deref()).await?;
        // Our own session runs this statement: canceling it would only lose the answer.
        let own = self.own_session && signal == Signal::Terminate;
        let statement = sql::signal(&self.query, R::BLOCKED, target, signal, own);
        let rows = run_query(wire, &statement).await?;
        let read = |row: crate::sql::Row<'_>| Blocker::read(&row, false);
        let sessions: Vec<Blocker> = rows.iter().filter_map(read).collect();
        for session in &sessions {
            session.emit(&TraceContext::here(), true);
        }
        let is_own = SignalColumn::IsOwn as usize;
        if own && rows.iter().any(|row| row.parsed(is_own) == Some(true)) {
            // Always an error: the session ends before it can answer.
            let _ = wire.query(TERMINATE_OWN_SESSION, &[]).await;
        }
        Ok(A::from_sessions(sessions))
    }
}

impl<A: FromSessions> Locks<BlockedLock, A> {
    /// Cancels the running statements of the blocking sessions. Returns the pids of the signaled sessions.
    ///
    /// Like [`cancel_activity`](Locks::cancel_activity), but for the
    /// [`blocking_activity`](BlockedLock::blocking_activity). A session that is idle in a transaction has nothing to
    /// cancel, is not among the pids, and keeps blocking; use [`terminate_blocking_activity`](Locks::terminate_blocking_activity) for it.
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
    ) -> Result<A, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Blocker,
            Signal::Cancel,
        ))
    }

    /// Terminates the blocking sessions. Returns the pids of the signaled sessions.
    ///
    /// Like [`terminate_activity`](Locks::terminate_activity), but for the
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
    /// let terminated: Vec<i32> = pglock::blocked_locks()
    ///     .filter("wait_duration__gte=5 seconds")?
    ///     .terminate_blocking_activity(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate_blocking_activity<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
        block_on(self.signal(
            &mut BlockingWire(connection),
            Entity::Blocker,
            Signal::Terminate,
        ))
    }

    /// Like [`cancel_blocking_activity`](Locks::cancel_blocking_activity), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async).
    pub async fn cancel_blocking_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
        self.signal(&mut AsyncWire(connection), Entity::Blocker, Signal::Cancel)
            .await
    }

    /// Like [`terminate_blocking_activity`](Locks::terminate_blocking_activity), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// As [`cancel_activity_async`](Locks::cancel_activity_async).
    pub async fn terminate_blocking_activity_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<A, Error> {
        self.signal(
            &mut AsyncWire(connection),
            Entity::Blocker,
            Signal::Terminate,
        )
        .await
    }
}
