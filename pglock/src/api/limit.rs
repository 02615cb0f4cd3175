//! At most so many at once.

use crate::api::advisory::{Advisory, PermitScope, advisory};
use crate::model::lock_id::IntoLockId;

/// At most `permits` at once, over all processes that share the database: from 2 to 1,000. For one at a time, use
/// [`advisory`](fn@advisory).
///
/// Each holder has a permit, which the server frees with its session. Those who wait are served in the order in which they
/// came; the first of them tries the permits every 20 ms to 0.6 s, the others just wait. A caller with a timeout of
/// zero tries once, and waits for at most 0.25 s for those who were there before it.
///
/// The methods are those of a lock: [`acquire`](Advisory::acquire), [`run`](Advisory::run), their `try_` and `_async` twins.
/// A call inside a call of the same limit shares its permit. `Busy` names one of those who have a permit.
///
/// # Names
///
/// A permit is a lock named `"sms (slot 2)"`, after the limit and the [number](crate::Guard::slot) of the permit. The lock with
/// the limit's own name is held by who is first in line, for as long as it has no permit: to stop all from beginning, for a
/// while, hold that one.
///
/// What waits for a lock while it has a permit, and for a permit while it has that lock, is a deadlock that nobody finds: give
/// one of them a timeout.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config), when it is acquired, for a number that is not from 2 to 1,000, and if
/// another session has a permit of the same limit where that has another number of them. Each process looks for such a session
/// once a minute, and before it says that all permits are taken.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// let one = pglock::limit(2, "sms").acquire()?;
/// let two = pglock::limit(2, "sms").acquire()?;
/// assert_ne!(one.slot(), two.slot());
/// assert!(pglock::limit(2, "sms").try_acquire()?.is_none()); // both are taken
/// # Ok(())
/// # }
/// ```
pub fn limit(permits: impl IntoPermits, id: impl IntoLockId) -> Advisory<PermitScope> {
    advisory(id).with_permits(permits.into_permits())
}

/// What `#[pglock::limit]` expands to: one of so many permits, instead of the lock alone.
pub fn limit_by(lock: Advisory, permits: impl IntoPermits) -> Advisory<PermitScope> {
    lock.with_permits(permits.into_permits())
}

/// What can be a number of permits: a `u32`.
///
/// It is there for what the compiler says of other types.
///
/// ```
/// fn is_a_number(_: impl pglock::IntoPermits) {}
///
/// is_a_number(3);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number of permits, which is a `u32`",
    label = "how many may run at once comes first, as a `u32`",
    note = "the number is before the lock ID, as in `limit(3, \"sms\")`; a constant for it is a `u32`"
)]
pub trait IntoPermits {
    #[doc(hidden)]
    fn into_permits(self) -> u32;
}

// Of other integers too, a literal could be any of them.
impl IntoPermits for u32 {
    fn into_permits(self) -> u32 {
        self
    }
}
