//! Connections that are prioritized until their scope ends.

use std::fmt;

use crate::api::timeout::{AsyncTimeoutScope, PreviousTimeout};
use crate::background::block_on;
use crate::calls::call_stack::Frame;
use crate::drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, Connection,
    InTransaction, lend_async, lend_blocking,
};
use crate::error::Error;
use crate::watcher::{PrioritizeReport, SectionHandle};

/// A blocking connection that is prioritized: see [`Prioritize::on`](crate::Prioritize::on).
///
/// Dropping it stops watching, and sets `lock_timeout` back if there was a timeout.
#[must_use = "the watch ends when the scope is dropped: bind it, as in `let mut section = ..`"]
pub struct PrioritizeScope<'c, C: AnyConnection + ?Sized> {
    connection: &'c mut C,
    section: Option<SectionHandle>,
    previous: Option<PreviousTimeout>,
}

impl<'c, C: AnyConnection + ?Sized> PrioritizeScope<'c, C> {
    pub(super) fn new(
        connection: &'c mut C,
        section: SectionHandle,
        previous: Option<PreviousTimeout>,
    ) -> Self {
        Self {
            connection,
            section: Some(section),
            previous,
        }
    }

    /// Runs a body in which waits on pglock's own sessions are prioritized too.
    ///
    /// Without it only the connection is: `pglock::advisory("invoices").acquire()` waits on another session. The
    /// attribute does the same.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// let mut section = pglock::prioritize().on(&mut client)?;
    /// section.run(|client| {
    ///     let guard = pglock::advisory("invoices").acquire()?; // its holder is terminated
    ///     client.batch_execute("SELECT 1")?;
    ///     guard.release().map_err(Box::<dyn std::error::Error>::from)
    /// })?;
    /// section.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<R>(&mut self, body: impl FnOnce(&mut C) -> R) -> R {
        match &self.section {
            Some(section) => Frame::prioritized(section.id()).run(|| body(self.connection)),
            None => body(self.connection),
        }
    }

    /// Which sessions blocked this one so far, and what was done to them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) when pglock's thread has ended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// let mut section = pglock::prioritize().on(&mut client)?;
    /// section.batch_execute("SELECT 1")?;
    /// let report = section.report()?;
    /// if let Err(error) = section.finish() {
    ///     eprintln!("{error}; until then: {report}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn report(&self) -> Result<PrioritizeReport, Error> {
        match &self.section {
            Some(section) => block_on(section.report()),
            None => Ok(PrioritizeReport::default()),
        }
    }

    /// Stops watching, sets `lock_timeout` back, and reports which sessions blocked this one.
    ///
    /// No session is signaled after it returns. The exception is a signal that the server did not answer within 5 s,
    /// which is an error: it may still arrive.
    ///
    /// # Errors
    ///
    /// The first failure of a poll or of a side effect: [`ErrorKind::Connect`](crate::ErrorKind::Connect) or
    /// [`Database`](crate::ErrorKind::Database) when the server refused the watcher,
    /// [`Config`](crate::ErrorKind::Config) when the watcher is connected to another database,
    /// [`SideEffect`](crate::ErrorKind::SideEffect) when one of your own failed or panicked. To know then which
    /// sessions were signaled, call [`report`](PrioritizeScope::report) before.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut section = pglock::prioritize().on(&mut client)?;
    /// section.batch_execute("ALTER TABLE orders ADD total numeric")?;
    /// assert!(section.finish()?.signaled().is_empty()); // nobody blocked it
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(mut self) -> Result<PrioritizeReport, Error> {
        self.finish_once()
    }

    fn finish_once(&mut self) -> Result<PrioritizeReport, Error> {
        match self.section.take() {
            Some(section) => end(&section, self.previous.take(), self.connection),
            None => Ok(PrioritizeReport::default()),
        }
    }
}

/// Stops watching a blocking connection, and sets its `lock_timeout` back.
pub(crate) fn end<C: AnyConnection + ?Sized>(
    section: &SectionHandle,
    previous: Option<PreviousTimeout>,
    connection: &mut C,
) -> Result<PrioritizeReport, Error> {
    let ended = block_on(section.end());
    let restored = previous.map_or(Ok(()), |previous| previous.end(connection));
    let report = ended?.into_result()?;
    restored.map(|()| report)
}

impl<C: AnyConnection + ?Sized> Drop for PrioritizeScope<'_, C> {
    fn drop(&mut self) {
        // A drop cannot report a failure; `finish` does.
        let _ = self.finish_once();
    }
}

/// An async connection that is prioritized: see [`Prioritize::on_async`](crate::Prioritize::on_async).
///
/// Dropping it stops watching, without waiting for a poll that is under way: that one may still signal sessions that
/// block the connection's next statement. [`finish`](AsyncPrioritizeScope::finish) waits for it.
#[must_use = "the watch ends when the scope is dropped: bind it, as in `let section = ..`"]
pub struct AsyncPrioritizeScope<'c, C: AnyAsyncConnection + ?Sized> {
    // Dropped first, so that watching ends before `lock_timeout` is set back.
    section: SectionHandle,
    connection: AsyncTimeoutScope<'c, C>,
}

impl<'c, C: AnyAsyncConnection + ?Sized> AsyncPrioritizeScope<'c, C> {
    pub(super) fn new(connection: AsyncTimeoutScope<'c, C>, section: SectionHandle) -> Self {
        Self {
            section,
            connection,
        }
    }

    /// Like [`PrioritizeScope::run`], for an async body.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: the body is dropped, and the section goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, mut client) = pglock_tests::async_client().await;
    /// # pglock::configure(database.url())?;
    /// let mut section = pglock::prioritize().on_async(&mut client).await?;
    /// section
    ///     .run(async |client| {
    ///         let guard = pglock::advisory("invoices").acquire_async().await?;
    ///         client.batch_execute("SELECT 1").await?;
    ///         guard.release_async().await.map_err(Box::<dyn std::error::Error>::from)
    ///     })
    ///     .await?;
    /// section.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<R>(&mut self, body: impl AsyncFnOnce(&mut C) -> R) -> R {
        let frame = Frame::prioritized(self.section.id());
        frame.run_async(body(&mut self.connection)).await
    }

    pub(crate) fn frame(&self) -> std::sync::Arc<Frame> {
        Frame::prioritized(self.section.id())
    }

    /// Like [`PrioritizeScope::report`].
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: nothing has changed.
    pub async fn report(&self) -> Result<PrioritizeReport, Error> {
        self.section.report().await
    }

    /// Like [`PrioritizeScope::finish`].
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point: watching stops and `lock_timeout` is set back, as by dropping the scope. The
    /// report is lost, and a poll that is under way may still signal sessions that block the connection's next
    /// statement.
    pub async fn finish(self) -> Result<PrioritizeReport, Error> {
        let Self {
            section,
            connection,
        } = self;
        let ended = section.end().await;
        let restored = connection.restore().await;
        let report = ended?.into_result()?;
        restored.map(|()| report)
    }
}

lend_blocking!(PrioritizeScope, AnyConnection);
lend_async!(AsyncPrioritizeScope, AnyAsyncConnection);

#[diagnostic::do_not_recommend]
impl<C: AnyConnection + Connection + ?Sized> Connection for PrioritizeScope<'_, C> {}

#[diagnostic::do_not_recommend]
impl<C: AnyConnection + InTransaction + ?Sized> InTransaction for PrioritizeScope<'_, C> {}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + AsyncConnection + ?Sized> AsyncConnection
    for AsyncPrioritizeScope<'_, C>
{
}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + AsyncInTransaction + ?Sized> AsyncInTransaction
    for AsyncPrioritizeScope<'_, C>
{
}

impl<C: AnyConnection + ?Sized> fmt::Debug for PrioritizeScope<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrioritizeScope").finish_non_exhaustive()
    }
}

impl<C: AnyAsyncConnection + ?Sized> fmt::Debug for AsyncPrioritizeScope<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncPrioritizeScope")
            .finish_non_exhaustive()
    }
}
