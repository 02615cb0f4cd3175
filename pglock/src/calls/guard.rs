//! Guards: values that hold a lock until they are released or dropped.

use std::fmt;
use std::sync::Arc;

use crate::calls::guards_here::Guarded;
use crate::calls::on_connection::{ConnectionLock, ConnectionRequest};
use crate::drivers::{AsyncConnection, Connection, lend_async, lend_blocking};
use crate::engine::{self, HeldLock, Purpose};
use crate::error::Error;
use crate::telemetry::HoldSpan;

/// A lock on a session of pglock's own.
///
/// Dropping it releases the lock in the background, and reports nothing if the lock was lost;
/// [`release`](Guard::release) waits and reports that. The guard can be sent to other threads and tasks.
///
/// # Example
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// let guard = pglock::advisory("invoices").acquire()?;
/// guard.check()?; // before a step that must not be done twice
/// guard.release()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the lock is released when the guard is dropped: bind it, as in `let _guard = ..` (`let _ = ..` drops it at once)"]
pub struct Guard {
    hold: Arc<Guarded>,
}

impl Guard {
    pub(crate) fn new(hold: HeldLock) -> Self {
        Self {
            hold: Guarded::new(hold),
        }
    }

    /// Checks that the lock is still held, without SQL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) once its session is known to have ended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire()?;
    /// guard.check()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        self.hold.is_used_here();
        self.hold.check()
    }

    /// Waits until the lock is lost, and returns what [`check`](Guard::check) says from then on. It never completes while
    /// the lock is held. To stop an async job that doesn't end with its future, such as a process.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: the lock is held as before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # async fn job() {}
    /// let guard = pglock::advisory("invoices").acquire_async().await?;
    /// tokio::select! {
    ///     () = job() => guard.release_async().await?,
    ///     lost = guard.lost_async() => return Err(lost.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lost_async(&self) -> Error {
        self.hold.is_used_here();
        self.hold.until_over().await
    }

    /// Which permit of a [limit](fn@crate::limit) it is, counted from zero: as an index into what there are so many of, such
    /// as accounts to send from. `None` for other locks.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let permit = pglock::limit(3, "sms").acquire()?;
    /// assert!(permit.slot().is_some_and(|slot| slot < 3));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn slot(&self) -> Option<u32> {
        match self.hold.lock.purpose.as_deref() {
            Some(Purpose::Permit(number)) => Some(*number),
            _ => None,
        }
    }

    /// Its token, if it is [`fenced`](crate::Advisory::fenced).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("ledger").fenced().acquire()?;
    /// assert!(guard.token().is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        self.hold.token()
    }

    /// The pid of the session that the lock is on, as `pg_locks` and the server's log name it. Other locks of this program can
    /// be on the same session. `None` once the lock is known to be lost, in a process that was forked from the one that acquired it, and where there is no
    /// server (feature `testing`).
    ///
    /// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire()?;
    /// let held = pglock::locks().filter("kind=ADVISORY")?.fetch(&mut database.connect())?;
    /// assert_eq!(guard.backend_pid(), Some(held[0].activity.pid));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn backend_pid(&self) -> Option<i32> {
        self.hold.backend()
    }

    /// Releases the lock and waits for the server's answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it was no longer held: others may have run in the meantime.
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
    pub fn release(self) -> Result<(), Error> {
        engine::release_blocking(&self.hold)
    }

    /// Like [`release`](Guard::release).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the lock is released all the same, in the background; a loss is not reported then.
    pub async fn release_async(self) -> Result<(), Error> {
        engine::release(&self.hold).await
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.hold.lock.id).finish()
    }
}

/// A session lock on a blocking connection of the caller's. The guard lends the connection until the release.
///
/// Dropping it releases the lock, which blocks for a round trip. A transaction that was begun by hand and left open
/// is rolled back first.
///
/// Swapping the lent connection for another one, as with `std::mem::swap`, is a logic error: the lock stays with the
/// connection on which it was acquired, and the release goes to the other one.
#[must_use = "the lock is released when the guard is dropped: bind it, as in `let _guard = ..` (`let _ = ..` drops it at once)"]
pub struct ConnectionGuard<'c, C: Connection + ?Sized> {
    connection: &'c mut C,
    lock: Option<ConnectionLock>,
}

impl<'c, C: Connection + ?Sized> ConnectionGuard<'c, C> {
    pub(crate) fn acquire(
        connection: &'c mut C,
        request: ConnectionRequest,
    ) -> Result<Self, Error> {
        let lock = Some(request.acquire(connection)?);
        Ok(Self { connection, lock })
    }

    /// Checks that the connection is still open, without SQL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it is closed. A blocking driver notices that only at a statement.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut locked = pglock::advisory("invoices").on(&mut client).acquire()?;
    /// locked.check()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&mut self) -> Result<(), Error> {
        let closed = self.connection.is_closed();
        lost_if_closed(self.lock.as_ref(), closed)
    }

    /// Releases the lock.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it was no longer held: others may have run in the meantime.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let locked = pglock::advisory("invoices").on(&mut client).acquire()?;
    /// locked.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self) -> Result<(), Error> {
        self.release_once()
    }

    fn release_once(&mut self) -> Result<(), Error> {
        match self.lock.take() {
            Some(lock) => lock.release(self.connection),
            None => Ok(()),
        }
    }
}

fn lost_if_closed(lock: Option<&ConnectionLock>, closed: bool) -> Result<(), Error> {
    lock.map_or(Ok(()), |lock| lock.lost_if_closed(closed))
}

impl<C: Connection + ?Sized> Drop for ConnectionGuard<'_, C> {
    fn drop(&mut self) {
        // A drop cannot report an error; `release` does.
        let _ = self.release_once();
    }
}

lend_blocking!(ConnectionGuard, Connection);

#[diagnostic::do_not_recommend]
impl<C: Connection + ?Sized> Connection for ConnectionGuard<'_, C> {}

impl<C: Connection + ?Sized> fmt::Debug for ConnectionGuard<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionGuard")
            .field(&self.lock.as_ref().map(ConnectionLock::id))
            .finish()
    }
}

/// A session lock on an async connection of the caller's. The guard lends the connection until the release.
///
/// Dropping it sends the release at once, without waiting for the answer: whatever is sent on the connection next
/// comes after it. A transaction that was begun by hand and left open is rolled back first.
///
/// Swapping the lent connection for another one, as with `std::mem::swap`, is a logic error: the lock stays with the
/// connection on which it was acquired, and the release goes to the other one.
#[must_use = "the lock is released when the guard is dropped: bind it, as in `let _guard = ..` (`let _ = ..` drops it at once)"]
pub struct AsyncConnectionGuard<'c, C: AsyncConnection + ?Sized> {
    connection: &'c mut C,
    lock: Option<ConnectionLock>,
}

impl<'c, C: AsyncConnection + ?Sized> AsyncConnectionGuard<'c, C> {
    pub(crate) async fn acquire(
        connection: &'c mut C,
        request: ConnectionRequest,
    ) -> Result<Self, Error> {
        let lock = Some(request.acquire_async(connection).await?);
        Ok(Self { connection, lock })
    }

    /// Checks that the connection is still open, without SQL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it is closed. sqlx and diesel-async notice that only at a statement.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, mut client) = pglock_tests::async_client().await;
    /// let locked = pglock::advisory("invoices").on_async(&mut client).acquire().await?;
    /// locked.check()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        lost_if_closed(self.lock.as_ref(), self.connection.is_closed())
    }

    /// Releases the lock and waits for the server's answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it was no longer held: others may have run in the meantime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the lock is released all the same: the rest of the release is sent at once, before
    /// anything that comes next on the connection. A loss is not reported then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, mut client) = pglock_tests::async_client().await;
    /// let locked = pglock::advisory("invoices").on_async(&mut client).acquire().await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn release(mut self) -> Result<(), Error> {
        let Some(lock) = &self.lock else {
            return Ok(());
        };
        let released = lock.release_async(&mut *self.connection).await;
        // If this future is dropped before this line, the guard's drop releases.
        self.lock = None;
        released
    }
}

impl<C: AsyncConnection + ?Sized> Drop for AsyncConnectionGuard<'_, C> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.queue_release(&mut *self.connection);
        }
    }
}

impl<C: AsyncConnection + ?Sized> AsyncConnectionGuard<'_, C> {
    /// The span that the body under the lock runs in.
    pub(crate) fn span(&self) -> HoldSpan {
        self.lock
            .as_ref()
            .map_or_else(HoldSpan::none, ConnectionLock::span)
    }
}

lend_async!(AsyncConnectionGuard, AsyncConnection);

#[diagnostic::do_not_recommend]
impl<C: AsyncConnection + ?Sized> AsyncConnection for AsyncConnectionGuard<'_, C> {}

impl<C: AsyncConnection + ?Sized> fmt::Debug for AsyncConnectionGuard<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncConnectionGuard")
            .field(&self.lock.as_ref().map(ConnectionLock::id))
            .finish()
    }
}
