//! Waiting for the locks that are kept after their calls.

use crate::background::block_on;
use crate::engine;

/// Waits until this process keeps no lock any more for the rest of its [`hold_at_least`](crate::Advisory::hold_at_least).
///
/// A process that ends without it frees them early, since its sessions end with it. So it stands at the end of `main`,
/// where jobs have a `hold_at_least`: it returns once all the locks that such jobs have left behind are released, those
/// too that are left behind meanwhile. It takes as long as the longest of them has to be kept; for a bound, use
/// [`drain_async`] under your runtime's timeout. It doesn't wait for calls that still run, nor for guards. Where
/// nothing is kept it returns at once, without connecting.
///
/// It blocks its thread, as all blocking functions do inside a runtime too.
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

/// Like [`drain`].
///
/// # Cancel safety
///
/// Dropped at any point, the locks are kept and released as without it, and it can be called again.
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
