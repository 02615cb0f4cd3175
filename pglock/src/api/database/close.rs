//! Closing sessions that nobody uses.

use crate::background::block_on;
use crate::database::Database;
use crate::engine;

impl Database {
    /// Closes this process's sessions to the database that nobody uses, and waits until the server has ended them.
    ///
    /// They would be closed after [`idle_timeout`](crate::DatabaseBuilder::idle_timeout). Close them now before `DROP DATABASE`,
    /// which fails while there are sessions, or before a process is paused. Sessions that hold locks stay, and so do those
    /// that wait for one; a lock that is being released is waited for. The handle can be used as before: the next lock
    /// connects again.
    ///
    /// See also [`drain_and_close`](crate::drain_and_close), for all databases at the end of a program.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let test = pglock_tests::database();
    /// # let name = "closed_before_it_is_dropped";
    /// # let mut admin = test.connect();
    /// # admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))?;
    /// # admin.batch_execute(&format!("CREATE DATABASE {name}"))?;
    /// # let url = test.url().replace(test.name(), name);
    /// let database = pglock::Database::builder(url).build()?;
    /// pglock::advisory("x").using(&database).acquire()?.release()?;
    /// database.close();
    /// admin.batch_execute(&format!("DROP DATABASE {name}"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        block_on(engine::close_idle(Some(self.clone())));
    }

    /// Like [`close`](Self::close), without blocking the thread.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point: the sessions are closed all the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let test = pglock_tests::database();
    /// let database = pglock::Database::builder(test.url()).build()?;
    /// database.ping_async().await?;
    /// database.close_async().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close_async(&self) {
        engine::close_idle(Some(self.clone())).await;
    }
}
