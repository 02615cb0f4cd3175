//! Locks on pglock's own sessions: as a guard, and around a body.

use std::future::Future;

use super::Advisory;
use crate::background::block_on;
use crate::calls::Guard;
use crate::error::{Error, unless_busy};
use crate::model::options::Timeout;

impl<S> Advisory<S> {
    /// Waits for the lock and acquires it, on one of pglock's own sessions.
    ///
    /// See also
    /// [`pg_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout, with its [holder](Error::holder);
    /// [`Connect`](crate::ErrorKind::Connect), at once, when no session can be opened;
    /// [`Deadlock`](crate::ErrorKind::Deadlock) or [`Database`](crate::ErrorKind::Database) as the server reports them;
    /// [`Environment`](crate::ErrorKind::Environment) when the server cannot hold the lock, or pglock's thread cannot
    /// run; [`Config`](crate::ErrorKind::Config) for options that cannot work, and, after three seconds, for a wait
    /// without a timeout for a lock that this thread already holds by a guard.
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
        block_on(self.for_own_session(Timeout::FOREVER)?.guard(true)).map(Guard::new)
    }

    /// Tries to acquire the lock: once, or until the timeout. Returns `None` when it is busy.
    ///
    /// See also
    /// [`pg_try_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire), except `Busy`.
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
        let request = self.skipping().for_own_session(Timeout::ZERO)?;
        Ok(unless_busy(block_on(request.guard(true)))?.map(Guard::new))
    }

    /// Like [`acquire`](Advisory::acquire), without blocking the thread.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and is then undone in the background: the wait is canceled in the server, and a
    /// lock that was granted at that moment is released. Calling it again is safe.
    pub async fn acquire_async(self) -> Result<Guard, Error> {
        self.for_own_session(Timeout::FOREVER)?
            .guard(false)
            .await
            .map(Guard::new)
    }

    /// Like [`try_acquire`](Advisory::try_acquire), without blocking the thread.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_async`](Advisory::acquire_async).
    pub async fn try_acquire_async(self) -> Result<Option<Guard>, Error> {
        let request = self.skipping().for_own_session(Timeout::ZERO)?;
        Ok(unless_busy(request.guard(false).await)?.map(Guard::new))
    }

    /// Runs `body` while holding the lock, as the attribute does.
    ///
    /// A call inside for the same lock re-enters it. The lock is released when the body returns or panics.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire); the body's `Err`; and [`ErrorKind::Lost`](crate::ErrorKind::Lost) when the
    /// body returned `Ok` but the lock was lost by then ([`body_finished`](Error::body_finished) is true).
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

    /// Runs `body` while holding the lock. Returns `None` when it is busy, at once or after the timeout.
    ///
    /// # Errors
    ///
    /// As [`run`](Advisory::run), except `Busy`.
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
    /// Then [`body_finished`](Error::body_finished) is false. A statement that the body had sent on another connection
    /// may still run in the server when the next holder begins. To rule that out, do the work on the connection that
    /// holds the lock: [`on_async`](Advisory::on_async), or `client =` in the attribute.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, as [`acquire_async`](Advisory::acquire_async). If it is dropped later, the body
    /// is dropped first, and then the lock is released in the background, after its
    /// [`hold_at_least`](Advisory::hold_at_least), unless an enclosing call holds it too. Calling it again runs a new
    /// body.
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
        // Otherwise each future that this one is passed on to would have room for it, too.
        let body = Box::pin(body);
        let call = self
            .for_own_session(Timeout::FOREVER)?
            .enter_async()
            .await?;
        call.run_async(body, Result::is_err).await?
    }

    /// Like [`try_run`](Advisory::try_run), for an async body: see [`run_async`](Advisory::run_async).
    ///
    /// # Cancel safety
    ///
    /// As [`run_async`](Advisory::run_async).
    pub async fn try_run_async<T, E: From<Error>>(
        self,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        let body = Box::pin(body);
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
