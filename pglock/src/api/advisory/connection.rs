//! Session locks on a connection of the caller's.

use super::{Advisory, OneLock};
use crate::calls::{AsyncConnectionGuard, ConnectionGuard};
use crate::drivers::{AsyncConnection, Connection};
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl<S> Advisory<S> {
    /// Acquires the lock on your connection, outside a transaction. The guard lends the connection.
    ///
    /// In a transaction that was begun by hand, acquiring fails with [`ErrorKind::Config`](crate::ErrorKind::Config),
    /// and nothing is held.
    ///
    /// A wait is begun anew after twice the server's `deadlock_timeout`, 2 s by default, so that it holds up neither
    /// `CREATE INDEX CONCURRENTLY` nor vacuum. Each time it gives up its place in the server's queue.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut locked = pglock::advisory((1, 2)).on(&mut client).acquire()?;
    /// locked.simple_query("SELECT 1")?;
    /// locked.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<C: Connection + ?Sized>(self, connection: &mut C) -> AdvisoryOn<'_, C>
    where
        S: OneLock,
    {
        AdvisoryOn {
            advisory: self.in_scope(),
            connection,
        }
    }

    /// Like [`on`](Advisory::on), for an async connection.
    ///
    /// It takes `&mut`, since tasks that share a session cannot exclude each other with its locks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, mut client) = pglock_tests::async_client().await;
    /// let locked = pglock::advisory("ledger").on_async(&mut client).acquire().await?;
    /// locked.simple_query("SELECT 1").await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_async<C: AsyncConnection + ?Sized>(self, connection: &mut C) -> AdvisoryOnAsync<'_, C>
    where
        S: OneLock,
    {
        AdvisoryOnAsync {
            advisory: self.in_scope(),
            connection,
        }
    }
}

/// An advisory lock to acquire on your connection: see [`Advisory::on`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOn<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: Connection + ?Sized> AdvisoryOn<'c, C> {
    /// Waits for the lock and acquires it.
    ///
    /// # Errors
    ///
    /// As [`Advisory::acquire`]; also [`ErrorKind::Config`](crate::ErrorKind::Config) in a transaction that was begun
    /// by hand.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let locked = pglock::advisory("ledger").on(&mut client).acquire()?;
    /// locked.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(self) -> Result<ConnectionGuard<'c, C>, Error> {
        ConnectionGuard::acquire(
            self.connection,
            self.advisory.for_connection(Timeout::FOREVER)?,
        )
    }

    /// Tries to acquire the lock: once, or until the timeout. Returns `None` when it is busy.
    ///
    /// # Errors
    ///
    /// As [`acquire`](AdvisoryOn::acquire), except `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// assert!(pglock::advisory("ledger").on(&mut client).try_acquire()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire(self) -> Result<Option<ConnectionGuard<'c, C>>, Error> {
        let request = self.advisory.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(ConnectionGuard::acquire(self.connection, request))
    }
}

/// An advisory lock to acquire on your async connection: see [`Advisory::on_async`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOnAsync<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: AsyncConnection + ?Sized> AdvisoryOnAsync<'c, C> {
    /// Like [`AdvisoryOn::acquire`].
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, the wait is canceled in the server, and a lock that was granted at that moment
    /// is released, before the connection's next statement, which is delayed by up to 0.8 s. Calling it again is safe.
    /// On sqlx, and where the driver requires TLS but pglock is built without the feature `rustls`, the wait is not
    /// canceled: it ends within twice `deadlock_timeout`, or when the lock is granted, which is then released. See
    /// [`AsyncConnection`].
    pub async fn acquire(self) -> Result<AsyncConnectionGuard<'c, C>, Error> {
        AsyncConnectionGuard::acquire(
            self.connection,
            self.advisory.for_connection(Timeout::FOREVER)?,
        )
        .await
    }

    /// Like [`AdvisoryOn::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](AdvisoryOnAsync::acquire). Without a timeout nothing waits, and the next statement is not
    /// delayed.
    pub async fn try_acquire(self) -> Result<Option<AsyncConnectionGuard<'c, C>>, Error> {
        let request = self.advisory.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(AsyncConnectionGuard::acquire(self.connection, request).await)
    }
}
