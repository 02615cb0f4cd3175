//! What users implement to deal with blocking sessions in their own way.

use super::blocked::Blocked;
use super::policy::KillPolicy;
use crate::error::Error;

/// What is done, at each look, when a prioritized section waits for a lock: [`Terminate`](struct@crate::Terminate),
/// [`Cancel`](struct@crate::Cancel), [`Escalate`](struct@crate::Escalate), or one of your own.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use pglock::{Blocked, Error, PrioritizeSideEffect};
///
/// /// Ends idlers at once, and only tells of all others.
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
    message = "`{Self}` is no side effect of `prioritize`",
    label = "not a `PrioritizeSideEffect`",
    note = "use `pglock::Terminate`, `Cancel` or `Escalate`, or implement `pglock::PrioritizeSideEffect` for a type of your own",
    note = "`filter` and `exclude` give a `Result`, since a filter can be wrong: write `?` behind them"
)]
pub trait PrioritizeSideEffect: Send + Sync + 'static {
    /// Deals with what is in the way; answers the pids of those that it hit, for the report.
    ///
    /// It is called when a look finds the section waiting, on a thread of its own, and not again before it has
    /// returned: it may block, and neither that nor a panic keeps anybody else waiting.
    ///
    /// # Errors
    ///
    /// The section goes on and is looked at again; the first error is returned at its end. For errors of your own there
    /// is [`Error::side_effect`].
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error>;

    /// What pglock does by itself, without a thread.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only pglock's own side effects say it")]
    fn kill_policy(&self) -> Option<KillPolicy> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<S: PrioritizeSideEffect + ?Sized> PrioritizeSideEffect for Box<S> {
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        (**self).worker(blocked)
    }

    #[expect(private_interfaces, reason = "only pglock's own side effects say it")]
    fn kill_policy(&self) -> Option<KillPolicy> {
        (**self).kill_policy()
    }
}

#[diagnostic::do_not_recommend]
impl<S: PrioritizeSideEffect + ?Sized> PrioritizeSideEffect for std::sync::Arc<S> {
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        (**self).worker(blocked)
    }

    #[expect(private_interfaces, reason = "only pglock's own side effects say it")]
    fn kill_policy(&self) -> Option<KillPolicy> {
        (**self).kill_policy()
    }
}
