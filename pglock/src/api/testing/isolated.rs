//! Locks of a test's own.

use std::future::poll_fn;
use std::pin::pin;

use crate::model::isolation::Scope;

/// Runs a test whose locks are its own: nothing outside of it has them, in this process or another one.
///
/// So two tests of one function with `timeout = 0` run side by side in one database, and neither finds the lock busy. That
/// holds for each advisory lock that is asked for inside, by attribute or by hand: on pglock's own sessions, on a connection
/// or in a transaction of yours; [`advisory_all`](crate::advisory_all), [`limit`](fn@crate::limit) and
/// [`leader`](fn@crate::leader) too. Inside they exclude each other, and are entered again, as always. Errors and traces
/// have the IDs as they are written.
///
/// What is asked for *on this thread, until the closure returns* is inside. Threads and tasks that the test spawns are not:
/// they inherit nothing, and have the locks that everybody has. (A runtime that runs its tasks on this thread, within the
/// closure, has them inside.) For a future use [`isolated_async`]. An isolated test in another one has locks of its own
/// again.
///
/// Its keys are chosen by chance. In `pg_locks` the locks are not found by [`advisory_id`](crate::advisory_id) or
/// [`Lock::is_advisory`](crate::Lock::is_advisory), nor do programs that are not pglock meet them. Table locks are as always.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::advisory("report", timeout = 0)]
/// fn report() -> Result<u32, pglock::Error> {
///     Ok(42)
/// }
///
/// let guard = pglock::advisory("report").acquire()?; // another test
/// assert!(report().unwrap_err().is_busy());
/// assert_eq!(pglock::testing::isolated(report)?, 42);
/// # Ok(())
/// # }
/// ```
pub fn isolated<T>(test: impl FnOnce() -> T) -> T {
    Scope::new().enter(test)
}

/// Like [`isolated`], for a future: what is asked for while it is polled is inside, on whatever thread, and what it spawns
/// is not.
///
/// # Cancel safety
///
/// As the future's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::advisory("report", timeout = 0)]
/// async fn report() -> Result<u32, pglock::Error> {
///     Ok(42)
/// }
///
/// let guard = pglock::advisory("report").acquire_async().await?; // another test
/// assert!(report().await.unwrap_err().is_busy());
/// assert_eq!(pglock::testing::isolated_async(report()).await?, 42);
/// # Ok(())
/// # }
/// ```
pub async fn isolated_async<F: Future>(test: F) -> F::Output {
    let scope = Scope::new();
    let mut test = pin!(test);
    poll_fn(|context| scope.enter(|| test.as_mut().poll(context))).await
}
