//! The trait that users implement to handle blocking sessions in their own way.

use super::blocked::Blocked;
use super::policy::SignalPolicy;
use crate::error::Error;

/// What to do about the sessions that block a prioritized section: [`Terminate`](struct@crate::Terminate),
/// [`Cancel`](struct@crate::Cancel), [`Escalate`](struct@crate::Escalate), or a type of your own.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use pglock::{Blocked, Error, PrioritizeSideEffect};
///
/// /// Terminates sessions that only idle, and prints all others.
/// struct Page;
///
/// impl PrioritizeSideEffect for Page {
///     fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
///         for lock in blocked.fetch()? {
///             eprintln!("{} waits for {}", lock.activity.pid, lock.blocking_activity.pid);
///         }
///         blocked.filter("blocking_activity__state=IDLE_IN_TRANSACTION")?.terminate()
///     }
/// }
///
/// let section = pglock::prioritize().side_effect(Page).on(&mut client)?;
/// section.finish()?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a side effect of `prioritize`",
    label = "not a `PrioritizeSideEffect`",
    note = "use `pglock::Terminate`, `Cancel` or `Escalate`, or implement `pglock::PrioritizeSideEffect` for a type of your own",
    note = "`filter` and `exclude` return a `Result`, since a filter can be invalid: add `?` after them"
)]
pub trait PrioritizeSideEffect: Send + Sync + 'static {
    /// Handles the blocking sessions. Returns the pids of those that it signaled, for the report.
    ///
    /// It is called when a poll finds the section waiting, on a thread of its own, and not again before it has
    /// returned. So it may block; neither that nor a panic delays other sections.
    ///
    /// # Errors
    ///
    /// After an error the section goes on and is polled again; the first error is returned at its end. Build errors of
    /// your own with [`Error::side_effect`].
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error>;

    /// The policy that pglock applies by itself, without a thread.
    #[doc(hidden)]
    fn signal_policy(&self) -> Option<SignalPolicy> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<S: PrioritizeSideEffect + ?Sized> PrioritizeSideEffect for Box<S> {
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        (**self).worker(blocked)
    }

    fn signal_policy(&self) -> Option<SignalPolicy> {
        (**self).signal_policy()
    }
}

#[diagnostic::do_not_recommend]
impl<S: PrioritizeSideEffect + ?Sized> PrioritizeSideEffect for std::sync::Arc<S> {
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        (**self).worker(blocked)
    }

    fn signal_policy(&self) -> Option<SignalPolicy> {
        (**self).signal_policy()
    }
}
