//! Locks in a transaction of the caller's.

use super::{Advisory, OneLock};
use crate::drivers::{AsyncInTransaction, InTransaction};
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl<S> Advisory<S> {
    /// Waits for the lock and acquires it in your transaction, whose end releases it.
    ///
    /// After an error the transaction can go on, with its `lock_timeout` as before. Under `REPEATABLE READ` the
    /// snapshot may be older than the lock, so that it does not show what the previous holder wrote.
    ///
    /// The transaction, and so the wait, holds back vacuum and each `CREATE INDEX CONCURRENTLY` until it ends.
    ///
    /// See also
    /// [`pg_advisory_xact_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout; [`Deadlock`](crate::ErrorKind::Deadlock),
    /// [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) as the server reports them;
    /// [`Config`](crate::ErrorKind::Config) for options that cannot work.
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
    pub fn acquire_xact<T: InTransaction + ?Sized>(self, transaction: &mut T) -> Result<(), Error>
    where
        S: OneLock,
    {
        self.for_connection(Timeout::FOREVER)?
            .acquire_xact(transaction)
    }

    /// Tries to acquire the lock in your transaction: once, or until the timeout. Returns `false` when it is busy.
    ///
    /// The transaction can go on, except after an error of a try without a timeout.
    ///
    /// # Errors
    ///
    /// As [`acquire_xact`](Advisory::acquire_xact), except `Busy`.
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
    ) -> Result<bool, Error>
    where
        S: OneLock,
    {
        unless_busy(
            self.skipping()
                .for_connection(Timeout::ZERO)?
                .acquire_xact(transaction),
        )
        .map(|acquired| acquired.is_some())
    }

    /// Like [`acquire_xact`](Advisory::acquire_xact), for an async transaction.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, the wait is canceled in the server, and the transaction can go on after up to
    /// 0.8 s; calling it again is safe. A lock that was granted at that moment stays until the transaction ends. On
    /// sqlx the wait is not canceled: see [`AsyncConnection`](crate::AsyncConnection).
    pub async fn acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<(), Error>
    where
        S: OneLock,
    {
        self.for_connection(Timeout::FOREVER)?
            .acquire_xact_async(transaction)
            .await
    }

    /// Like [`try_acquire_xact`](Advisory::try_acquire_xact), for an async transaction.
    ///
    /// # Cancel safety
    ///
    /// With a timeout, as [`acquire_xact_async`](Advisory::acquire_xact_async). Without one nothing waits: if it is
    /// dropped after its first poll, the transaction may hold the lock until it ends.
    pub async fn try_acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error>
    where
        S: OneLock,
    {
        let request = self.skipping().for_connection(Timeout::ZERO)?;
        unless_busy(request.acquire_xact_async(transaction).await)
            .map(|acquired| acquired.is_some())
    }
}
