//! On a connection of the caller's.

use super::Advisory;
use crate::calls::{AsyncConnectionGuard, ConnectionGuard};
use crate::drivers::{AsyncConnection, Connection};
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl Advisory {
    /// Takes the lock on a connection of yours, outside a transaction; the guard lends the connection.
    ///
    /// Where the connection has a transaction open all the same, begun by hand, the acquire is refused as
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) and nothing is held.
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
    pub fn on<C: Connection + ?Sized>(self, connection: &mut C) -> AdvisoryOn<'_, C> {
        AdvisoryOn {
            advisory: self,
            connection,
        }
    }

    /// Like [`on`](Advisory::on), for an async connection.
    ///
    /// It is taken as `&mut`: tasks that share a session can't exclude each other with its locks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let locked = pglock::advisory("ledger").on_async(&mut client).acquire().await?;
    /// locked.simple_query("SELECT 1").await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_async<C: AsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> AdvisoryOnAsync<'_, C> {
        AdvisoryOnAsync {
            advisory: self,
            connection,
        }
    }
}

/// An advisory lock to be asked for on a connection of yours: see [`Advisory::on`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOn<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: Connection + ?Sized> AdvisoryOn<'c, C> {
    /// Takes the lock, waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Advisory::acquire`]; [`ErrorKind::Config`](crate::ErrorKind::Config) in a transaction begun by hand.
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

    /// Tries for the lock once, or up to the timeout; `None` when it is busy.
    ///
    /// # Errors
    ///
    /// As [`acquire`](AdvisoryOn::acquire), but for `Busy`.
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
        let asked = self.advisory.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(ConnectionGuard::acquire(self.connection, asked))
    }
}

/// An advisory lock to be asked for on an async connection of yours: see [`Advisory::on_async`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOnAsync<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: AsyncConnection + ?Sized> AdvisoryOnAsync<'c, C> {
    /// Like [`AdvisoryOn::acquire`].
    ///
    /// # Errors
    ///
    /// As [`AdvisoryOn::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the wait is canceled in the server, and what was granted in that moment is released,
    /// before the connection's next statement, which is up to 0.8 s later. Trying again is safe. On sqlx, and where the
    /// driver insists on TLS and pglock is built without the feature `rustls`, nothing is canceled: the wait ends when it
    /// is granted, and is released then, or with its timeout. See [`AsyncConnection`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let locked = pglock::advisory("ledger").on_async(&mut client).acquire().await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire(self) -> Result<AsyncConnectionGuard<'c, C>, Error> {
        AsyncConnectionGuard::acquire(
            self.connection,
            self.advisory.for_connection(Timeout::FOREVER)?,
        )
        .await
    }

    /// Like [`AdvisoryOn::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`AdvisoryOn::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](AdvisoryOnAsync::acquire); without a timeout nothing waits, and nothing is later for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// assert!(pglock::advisory("ledger").on_async(&mut client).try_acquire().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire(self) -> Result<Option<AsyncConnectionGuard<'c, C>>, Error> {
        let asked = self.advisory.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(AsyncConnectionGuard::acquire(self.connection, asked).await)
    }
}
