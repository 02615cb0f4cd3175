//! How what is on sessions of pglock's own is held: on which one, and for how long.

use std::time::Duration;

use super::{Advisory, OnOwnSession};

impl<S> Advisory<S> {
    /// Holds the lock on a session that it shares with no other lock.
    ///
    /// Locks share sessions, so one that is ended by an administrator, say for one of its locks, takes the others with it. A
    /// dedicated session costs a connection, of which there are at most
    /// [`max_sessions`](crate::DatabaseBuilder::max_sessions).
    ///
    /// It has no effect on a connection of yours, whose locks are on that connection.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("month-end").dedicated().acquire()?;
    /// guard.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dedicated(mut self) -> Self
    where
        S: OnOwnSession,
    {
        self.dedicated = true;
        self
    }

    /// Keeps the lock at least this long after it was acquired, even if the work is done sooner.
    ///
    /// This is for short jobs on many hosts: a host whose clock is late finds the lock still busy, and does not run the
    /// job a second time.
    ///
    /// The caller does not wait: the end of the call, or of the guard, confirms that the lock is still held, and pglock
    /// releases it later in the background, also if the body failed, panicked or was dropped. Until then everybody
    /// else, in this process too, finds the lock busy, and it occupies its session. If that session is lost meanwhile,
    /// the lock is free early. No caller is told; with the feature `tracing` it is the event `pglock.lost`, at `WARN`.
    ///
    /// The end of the process frees such locks early; [`drain`](crate::drain()) waits for them. A call that re-enters a
    /// lock leaves the release to the outer call, whose limits apply. Zero, more than 24 days, your own connections and
    /// [`xact`](Advisory::xact) are refused with [`ErrorKind::Config`](crate::ErrorKind::Config).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("invoices").hold_at_least(Duration::from_secs(30));
    /// lock.clone().run(|| Ok::<_, pglock::Error>(()))?;
    /// assert!(lock.try_run(|| Ok::<_, pglock::Error>(()))?.is_none()); // still busy
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_at_least(mut self, limit: Duration) -> Self
    where
        S: OnOwnSession,
    {
        self.limits.at_least = Some(limit);
        self
    }

    /// Stops an async body that holds the lock longer than this, so that a body that hangs does not block everybody
    /// else.
    ///
    /// The body is dropped at its next await, then the lock is released, and the call returns
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost), with this limit in its text. A body that does not await is not
    /// stopped, and keeps the lock; there [`check`](crate::check) reports it. A statement that the body had sent may
    /// still run in the server, as after a loss.
    ///
    /// Only [`run_async`](Advisory::run_async) and [`try_run_async`](Advisory::try_run_async) can stop a body. Methods
    /// with a blocking body or with a guard are refused with [`ErrorKind::Config`](crate::ErrorKind::Config), since a
    /// second run would overlap the first. So are your own connections, [`xact`](Advisory::xact), zero, more than 24
    /// days, and less than [`hold_at_least`](Advisory::hold_at_least). A process that dies needs no such limit: its
    /// locks end with it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("invoices").hold_at_most(Duration::from_millis(50));
    /// let hangs = std::future::pending::<Result<(), pglock::Error>>();
    /// let stopped = lock.run_async(hangs).await.unwrap_err();
    /// assert!(stopped.is_lost() && !stopped.body_finished());
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_at_most(mut self, limit: Duration) -> Self
    where
        S: OnOwnSession,
    {
        self.limits.at_most = Some(limit);
        self
    }
}
