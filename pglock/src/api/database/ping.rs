//! Whether a database can be reached, at the start of a program.

use crate::background::block_on;
use crate::database::Database;
use crate::engine;
use crate::error::Error;

impl Database {
    /// Connects, and checks that locks can be held there.
    ///
    /// [`configure`](crate::configure) and [`build`](crate::DatabaseBuilder::build) do not connect, so a wrong host or password
    /// would show at the first lock, which may be at night. Call this at the start of a program that should not start then.
    /// For the default database, use the handle that you configure, or [`Using::database`](crate::Using::database).
    ///
    /// A session that is idle is used and asked once more; a new one stays for the first lock. It takes as long as
    /// `connect_timeout` at most, 10 s unless the URL says otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) when the server cannot be reached, or rejects the user;
    /// [`ErrorKind::Environment`](crate::ErrorKind::Environment) when session locks cannot be held there: on a standby, or
    /// behind a pooler in transaction mode, where `xact` locks would work.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// let database = pglock::Database::builder(test.url()).build()?;
    /// pglock::configure(&database)?;
    /// database.ping()?;
    ///
    /// let wrong = pglock::Database::builder("postgres://app@localhost:1/app").build()?;
    /// assert!(wrong.ping().unwrap_err().is_connect());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ping(&self) -> Result<(), Error> {
        block_on(engine::ping(self.clone()))
    }

    /// Like [`ping`](Self::ping), without blocking the thread.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point: the session is opened all the same, and is kept for locks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// let database = pglock::Database::builder(test.url()).build()?;
    /// database.ping_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ping_async(&self) -> Result<(), Error> {
        engine::ping(self.clone()).await
    }
}
