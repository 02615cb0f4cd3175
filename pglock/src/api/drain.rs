//! Graceful shutdown: waits for the locks that outlive their calls.

use crate::background::block_on;
use crate::engine;

/// For a graceful shutdown: waits until every lock that this process still keeps for its
/// [`hold_at_least`](crate::Advisory::hold_at_least) is released.
///
/// A process that exits without it releases these locks early, since its sessions end with it. So call it at the end of
/// `main` if jobs have a `hold_at_least`. It also waits for locks whose jobs end while it waits, but not for calls that
/// still run, nor for guards. If no lock is kept, it returns at once, without connecting.
///
/// It waits as long as the longest `hold_at_least` takes, and blocks its thread, inside a runtime too. For a limit, use
/// [`drain_async`] under your runtime's timeout.
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::advisory("sweep", hold_at_least = "200ms")]
/// fn sweep() -> Result<(), pglock::Error> {
///     Ok(())
/// }
///
/// sweep()?; // returns at once
/// assert!(pglock::advisory("sweep").try_acquire()?.is_none()); // and is still held
/// pglock::drain();
/// assert!(pglock::advisory("sweep").try_acquire()?.is_some());
/// # Ok::<(), pglock::Error>(())
/// ```
pub fn drain() {
    block_on(engine::drain());
}

/// Like [`drain`], without blocking the thread.
///
/// # Cancel safety
///
/// It can be dropped at any point, and called again: the locks are kept and released as before.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// use std::time::Duration;
///
/// let lock = pglock::advisory("sweep").hold_at_least(Duration::from_millis(200));
/// lock.run_async(async { Ok::<_, pglock::Error>(()) }).await?;
/// tokio::time::timeout(Duration::from_secs(60), pglock::drain_async()).await?;
/// assert!(pglock::advisory("sweep").try_acquire_async().await?.is_some());
/// # Ok(())
/// # }
/// ```
pub async fn drain_async() {
    engine::drain().await;
}

/// Like [`drain`], and then closes the sessions that nobody uses, of all databases, and waits until the servers have ended
/// them.
///
/// So a program can say good-bye to its servers at the end of `main`. Sessions of guards that are still held stay.
///
/// See also [`Database::close`](crate::Database::close).
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// pglock::advisory("sweep").run(|| Ok::<_, pglock::Error>(()))?;
/// pglock::drain_and_close();
/// # Ok::<(), pglock::Error>(())
/// ```
pub fn drain_and_close() {
    block_on(drain_and_close_async());
}

/// Like [`drain_and_close`], without blocking the thread.
///
/// # Cancel safety
///
/// It can be dropped at any point, and called again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// pglock::drain_and_close_async().await;
/// # }
/// ```
pub async fn drain_and_close_async() {
    engine::drain().await;
    engine::close_idle(None).await;
}
