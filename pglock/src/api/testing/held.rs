//! Whether all was released.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::api::locks::{Locks, locks};
use crate::background;
use crate::drivers::{AnyConnection, AsyncReader};
use crate::error::Error;
use crate::model::isolation::Scope;
use crate::model::lock_id::Key;
use crate::view::Lock;

/// For how long locks may still be held. A guard that is dropped does not wait for its release, and machines that run tests
/// are busy.
const BOUND: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Panics if an advisory lock is held in the database of this connection, and says which and by whom.
///
/// Inside [`isolated`](crate::testing::isolated) only the locks of the test count. Elsewhere each advisory lock counts, of
/// pglock or not: the test needs a database of its own then. What this connection holds counts too.
///
/// A guard that was dropped is released in the background, so locks have five seconds to go. Who keeps locks with
/// [`hold_at_least`](crate::Advisory::hold_at_least) calls [`drain`](crate::drain()) first.
///
/// # Panics
///
/// If a lock is held, and if the database can't be asked.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// pglock::advisory("report").run(|| Ok::<_, pglock::Error>(()))?;
/// pglock::testing::assert_none_held(&mut client);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn assert_none_held<C: AnyConnection + ?Sized>(connection: &mut C) {
    let until = Instant::now() + BOUND;
    loop {
        let found = held().and_then(|locks| locks.fetch(connection));
        match verdict(found, until) {
            Ok(true) => return,
            Ok(false) => std::thread::sleep(PAUSE),
            Err(why) => panic!("{why}"),
        }
    }
}

/// Like [`assert_none_held`], for an async connection.
///
/// # Panics
///
/// As [`assert_none_held`].
///
/// # Cancel safety
///
/// It can be dropped at any point, and called again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (database, mut client) = pglock_tests::async_client().await;
/// # pglock::configure(database.url())?;
/// pglock::advisory("report").run_async(async { Ok::<_, pglock::Error>(()) }).await?;
/// pglock::testing::assert_none_held_async(&mut client).await;
/// # Ok(())
/// # }
/// ```
pub async fn assert_none_held_async<C: AsyncReader + ?Sized>(connection: &mut C) {
    let until = Instant::now() + BOUND;
    loop {
        let found = match held() {
            Ok(locks) => locks.fetch_async(connection).await,
            Err(error) => Err(error),
        };
        match verdict(found, until) {
            Ok(true) => return,
            Ok(false) => {
                // By pglock's clock: the executor may have none. If its thread has ended, the locks are asked for at once.
                if let Ok(thread) = background::start() {
                    let _ = thread.sleep_until(Instant::now() + PAUSE).await;
                }
            }
            Err(why) => panic!("{why}"),
        }
    }
}

fn held() -> Result<Locks, Error> {
    locks().granted(true).filter("kind=ADVISORY")
}

/// Whether none is held, or why that is over.
fn verdict(found: Result<Vec<Lock>, Error>, until: Instant) -> Result<bool, String> {
    let found = found.map_err(|error| {
        format!(
            "cannot see if locks are held; pass a connection that can read `pg_locks`: {error:?}"
        )
    })?;
    let held = of_this_test(found);
    if held.is_empty() {
        return Ok(true);
    }
    if Instant::now() < until {
        return Ok(false);
    }
    let mut why = "advisory locks are still held; release or drop their guards, and end the sessions and threads that the test has left:".to_owned();
    for lock in held {
        let _ = write!(why, "\n  {lock}");
    }
    Err(why)
}

/// Those that count, by the IDs by which they were asked for.
fn of_this_test(mut found: Vec<Lock>) -> Vec<Lock> {
    let Some(asked) = Scope::asked_here() else {
        return found;
    };
    found.retain_mut(|lock| {
        let Some(key) = lock.advisory_key.as_ref().map(Key::of) else {
            return false;
        };
        let asked = asked.iter().find(|(asked, _)| *asked == key);
        lock.advisory_key = asked.map(|(_, id)| id.clone());
        asked.is_some()
    });
    found
}
