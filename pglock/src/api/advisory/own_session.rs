//! On a session of pglock's own: as a guard, and around a body.

use std::future::Future;

use super::Advisory;
use crate::background::block_on;
use crate::calls::Guard;
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl<S> Advisory<S> {
    /// Takes the lock on a session of pglock's own, waiting for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout, with its [holder](Error::holder);
    /// [`Connect`](crate::ErrorKind::Connect) when there is no session, at once; [`Deadlock`](crate::ErrorKind::Deadlock)
    /// or [`Database`](crate::ErrorKind::Database) when the server says so; [`Environment`](crate::ErrorKind::Environment)
    /// when pglock's thread can't run; [`Config`](crate::ErrorKind::Config) for options that can't work, and for a wait
    /// without end on a lock that this thread holds by a guard.
    ///
    /// Stands on [`pg_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire()?;
    /// guard.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(self) -> Result<Guard, Error> {
        block_on(self.for_own_session(Timeout::FOREVER)?.guard(true)).map(Guard::of_this_thread)
    }

    /// Tries for the lock once, or up to the timeout; `None` when it is busy.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire), but for `Busy`.
    ///
    /// Stands on [`pg_try_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// if let Some(guard) = pglock::advisory(42).try_acquire()? {
    ///     guard.release()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire(self) -> Result<Option<Guard>, Error> {
        let wanted = self.skipping().for_own_session(Timeout::ZERO)?;
        Ok(unless_busy(block_on(wanted.guard(true)))?.map(Guard::of_this_thread))
    }

    /// Like [`acquire`](Advisory::acquire).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, it is taken back in the background: the wait is canceled in the server, and what was
    /// granted in that moment is released. Trying again is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire_async().await?;
    /// guard.release_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire_async(self) -> Result<Guard, Error> {
        self.for_own_session(Timeout::FOREVER)?
            .guard(false)
            .await
            .map(Guard::new)
    }

    /// Like [`try_acquire`](Advisory::try_acquire).
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Advisory::try_acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_async`](Advisory::acquire_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// assert!(pglock::advisory("invoices").try_acquire_async().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire_async(self) -> Result<Option<Guard>, Error> {
        let wanted = self.skipping().for_own_session(Timeout::ZERO)?;
        Ok(unless_busy(wanted.guard(false).await)?.map(Guard::new))
    }

    /// Runs `body` under the lock, as the attribute does.
    ///
    /// A call inside that asks for the same lock re-enters. The lock is released when the body returns or panics.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire); the body's `Err`; and [`ErrorKind::Lost`](crate::ErrorKind::Lost) when the
    /// body said `Ok` and the lock had been lost by then ([`body_finished`](Error::body_finished) is true).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let total = pglock::advisory("invoices").run(|| Ok::<_, pglock::Error>(42))?;
    /// assert_eq!(total, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T, E: From<Error>>(self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = self.for_own_session(Timeout::FOREVER)?.enter()?;
        call.run(body, Result::is_err)?
    }

    /// Runs `body` under the lock, or returns `None` when it is busy, at once or after the timeout.
    ///
    /// # Errors
    ///
    /// As [`run`](Advisory::run), but for `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let ran = pglock::advisory("invoices").try_run(|| Ok::<_, pglock::Error>(42))?;
    /// assert_eq!(ran, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_run<T, E: From<Error>>(
        self,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        match unless_busy(self.skipping().for_own_session(Timeout::ZERO)?.enter())? {
            Some(call) => call.run(body, Result::is_err)?.map(Some),
            None => Ok(None),
        }
    }

    /// Like [`run`](Advisory::run), for an async body, which is dropped at its next await when the lock is lost.
    ///
    /// A statement that the body had sent on a connection of its own may run on in the server while the next holder
    /// begins; a body that works on the connection that holds the lock ([`on_async`](Advisory::on_async), or
    /// `client =` in the attribute) can't outrun it.
    ///
    /// # Errors
    ///
    /// As [`run`](Advisory::run); when the body was dropped, [`body_finished`](Error::body_finished) is false.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, as [`acquire_async`](Advisory::acquire_async). Dropped later, the body is dropped, and then
    /// the lock is released in the background, unless a call around has it too; with
    /// [`hold_at_least`](Advisory::hold_at_least) when that is over. Calling it again runs the body anew.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let total = pglock::advisory("invoices").run_async(async { Ok::<_, pglock::Error>(42) }).await?;
    /// assert_eq!(total, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_async<T, E: From<Error>>(
        self,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = self
            .for_own_session(Timeout::FOREVER)?
            .enter_async()
            .await?;
        call.run_async(body, Result::is_err).await?
    }

    /// Like [`try_run`](Advisory::try_run), for an async body.
    ///
    /// # Errors
    ///
    /// As [`run_async`](Advisory::run_async), but for `Busy`.
    ///
    /// # Cancel safety
    ///
    /// As [`run_async`](Advisory::run_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let ran = pglock::advisory("invoices").try_run_async(async { Ok::<_, pglock::Error>(42) }).await?;
    /// assert_eq!(ran, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_run_async<T, E: From<Error>>(
        self,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        match unless_busy(
            self.skipping()
                .for_own_session(Timeout::ZERO)?
                .enter_async()
                .await,
        )? {
            Some(call) => call.run_async(body, Result::is_err).await?.map(Some),
            None => Ok(None),
        }
    }
}
