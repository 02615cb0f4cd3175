//! In a transaction of the caller's.

use super::Advisory;
use crate::drivers::{AsyncInTransaction, InTransaction};
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl Advisory {
    /// Takes the lock in a transaction of yours, which releases it when it ends, and not before.
    ///
    /// The transaction can go on after an error, and its `lock_timeout` is as before. Under `REPEATABLE READ` its
    /// snapshot may be older than the lock: what the holder before has written can be out of sight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout; [`Deadlock`](crate::ErrorKind::Deadlock),
    /// [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) when the server says so;
    /// [`Config`](crate::ErrorKind::Config) for options that can't work.
    ///
    /// Stands on [`pg_advisory_xact_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut tx = client.transaction()?;
    /// pglock::advisory("ledger").acquire_xact(&mut tx)?;
    /// tx.commit()?; // released
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_xact<T: InTransaction + ?Sized>(self, transaction: &mut T) -> Result<(), Error> {
        self.for_connection(Timeout::FOREVER)?
            .acquire_xact(transaction)
    }

    /// Like [`acquire_xact`](Advisory::acquire_xact), but tries once, or up to the timeout; `false` when it is busy, and
    /// the transaction can go on. After an error of a try without a timeout it can't.
    ///
    /// # Errors
    ///
    /// As [`acquire_xact`](Advisory::acquire_xact), but for `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut tx = client.transaction()?;
    /// if pglock::advisory("ledger").try_acquire_xact(&mut tx)? {
    ///     tx.commit()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_xact<T: InTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        unless_busy(
            self.skipping()
                .for_connection(Timeout::ZERO)?
                .acquire_xact(transaction),
        )
        .map(|had| had.is_some())
    }

    /// Like [`acquire_xact`](Advisory::acquire_xact).
    ///
    /// # Errors
    ///
    /// As [`acquire_xact`](Advisory::acquire_xact).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the wait is canceled in the server and the transaction can go on, up to 0.8 s later;
    /// trying again is safe. If the lock was granted in that moment, the transaction keeps it to its end. On sqlx nothing
    /// is canceled: see [`AsyncConnection`](crate::AsyncConnection).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let mut tx = client.transaction().await?;
    /// pglock::advisory("ledger").acquire_xact_async(&mut tx).await?;
    /// tx.commit().await?; // released
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<(), Error> {
        self.for_connection(Timeout::FOREVER)?
            .acquire_xact_async(transaction)
            .await
    }

    /// Like [`try_acquire_xact`](Advisory::try_acquire_xact).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_xact`](Advisory::try_acquire_xact).
    ///
    /// # Cancel safety
    ///
    /// With a timeout, as [`acquire_xact_async`](Advisory::acquire_xact_async). Without one nothing waits: dropped after
    /// its first poll, the transaction may have the lock, to its end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let mut tx = client.transaction().await?;
    /// assert!(pglock::advisory("ledger").try_acquire_xact_async(&mut tx).await?);
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        let asked = self.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(asked.acquire_xact_async(transaction).await).map(|had| had.is_some())
    }
}
