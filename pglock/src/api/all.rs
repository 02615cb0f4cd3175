//! Several locks at once.

use crate::api::advisory::{Advisory, AllScope, advisory};
use crate::model::lock_id::{IntoLockId, LockId};

/// All locks with these IDs, or none of them: both accounts of a transfer, say. One guard holds them all.
///
/// They are acquired in the order of their keys, whatever the order of the IDs, so those who ask for several of the same locks
/// never wait for each other in a ring. An ID that is there twice is one lock. Where all are free it takes one round trip.
///
/// The methods are those of a lock: [`acquire`](Advisory::acquire), [`run`](Advisory::run), their `try_` and `_async` twins. The
/// timeout is for all together. A caller with a timeout of zero tries once, and waits for at most 0.25 s for those who ask for the
/// same locks at the same moment. While it waits for one of them it has those before it, and others find these busy.
///
/// A call inside a call needs only those that no call around it has. They are waited for while the others are held, in whatever
/// order, so a ring of waits is possible then, as with any two locks; it is found, and an error.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config), when they are acquired, for no ID, and for more than 64 locks.
/// [`Busy`](crate::ErrorKind::Busy) names the lock that was waited for, and its holder.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// let (from, to) = (7, 3);
/// let accounts = [from, to].map(|account| format!("account-{account}"));
/// let guard = pglock::advisory_all(accounts).acquire()?;
/// assert!(pglock::advisory("account-3").try_acquire()?.is_none());
/// guard.release()?;
/// # Ok(())
/// # }
/// ```
pub fn advisory_all(ids: impl IntoIterator<Item = impl IntoLockId>) -> Advisory<AllScope> {
    let ids: Vec<LockId> = ids.into_iter().map(IntoLockId::into_lock_id).collect();
    let first = ids.first().cloned().unwrap_or(LockId::Key(0));
    advisory(first).with_all(ids)
}
