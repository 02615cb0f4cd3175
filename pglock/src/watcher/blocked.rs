//! What a side effect works with: the waits of its section and the sessions that block them.

use std::fmt;

use super::policy::{Escalation, SignalPolicy};
use crate::error::Error;
use crate::model::backend::Backend;
use crate::view::sql::LocksQuery;
use crate::view::{BlockedLock, Condition, Matches};

/// What a side effect can ask of the watcher.
pub(super) trait SectionWatcher: Sync {
    /// Runs the query.
    fn fetch(&self, query: LocksQuery) -> Result<Vec<BlockedLock>, Error>;

    /// Signals the sessions that block these; returns the pids of those that were signaled.
    fn signal(&self, waiting: Vec<Backend>, policy: SignalPolicy) -> Result<Vec<i32>, Error>;
}

/// The waits of a prioritized section and the sessions that block them, for a
/// [side effect](crate::PrioritizeSideEffect::worker).
///
/// All its methods run on the watcher's connection. Once the section has ended, or the waits that were found are over,
/// they find and signal no session.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use pglock::{Blocked, Error, PrioritizeSideEffect};
///
/// /// Cancels reports, and terminates other sessions that only idle.
/// struct ReportsFirst;
///
/// impl PrioritizeSideEffect for ReportsFirst {
///     fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
///         let mut reports = blocked.clone();
///         let mut signaled = reports.filter("blocking_activity__application_name=reports")?.cancel()?;
///         let idlers = blocked
///             .exclude("blocking_activity__application_name=reports")?
///             .filter("blocking_activity__state=IDLE_IN_TRANSACTION")?;
///         signaled.extend(idlers.terminate()?);
///         Ok(signaled)
///     }
/// }
///
/// let section = pglock::prioritize().side_effect(ReportsFirst).on(&mut client)?;
/// section.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Blocked<'w> {
    watcher: &'w dyn SectionWatcher,
    waiting: Vec<Backend>,
    conditions: Vec<Condition>,
}

impl<'w> Blocked<'w> {
    pub(super) fn new(watcher: &'w dyn SectionWatcher, waiting: Vec<Backend>) -> Self {
        Self {
            watcher,
            waiting,
            conditions: Vec::new(),
        }
    }

    /// The pids of the waiting sessions of the section: its connection, or pglock's own sessions that wait for its
    /// calls.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.waiting.iter().map(|backend| backend.pid).collect()
    }

    /// Keeps only the blockers that also match the filter, which is one of
    /// [`blocked_locks`](fn@crate::blocked_locks): the blocker is `blocking_activity`.
    ///
    /// # Errors
    ///
    /// As [`Locks::filter`](crate::Locks::filter).
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     blocked.filter("blocking_activity__state=IDLE_IN_TRANSACTION")?.terminate()
    /// }
    /// ```
    pub fn filter(&mut self, filter: impl AsRef<str>) -> Result<&mut Self, Error> {
        self.narrow(filter.as_ref(), Matches::Keep)
    }

    /// Leaves out the blockers that match the filter.
    ///
    /// # Errors
    ///
    /// As [`Locks::filter`](crate::Locks::filter).
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     blocked.exclude("blocking_activity__application_name=pg_dump")?.cancel()
    /// }
    /// ```
    pub fn exclude(&mut self, filter: impl AsRef<str>) -> Result<&mut Self, Error> {
        self.narrow(filter.as_ref(), Matches::Exclude)
    }

    fn narrow(&mut self, filter: &str, matches: Matches) -> Result<&mut Self, Error> {
        let condition = Condition::parse(filter, true, matches)?;
        self.conditions.push(condition);
        Ok(self)
    }

    /// Fetches the locks that the section waits for: one row for each session that blocks it.
    ///
    /// # Errors
    ///
    /// As [`Locks::fetch`](crate::Locks::fetch), and [`ErrorKind::Connect`](crate::ErrorKind::Connect) if pglock's
    /// thread has ended.
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     for lock in blocked.fetch()? {
    ///         println!("blocked by {}", lock.blocking_activity.pid);
    ///     }
    ///     Ok(Vec::new()) // none was signaled
    /// }
    /// ```
    pub fn fetch(&mut self) -> Result<Vec<BlockedLock>, Error> {
        self.watcher.fetch(LocksQuery {
            waiting: Some(self.pids()),
            conditions: self.conditions.clone(),
            ..LocksQuery::default()
        })
    }

    /// Cancels the statements of the blocking sessions, as [`Cancel`](struct@crate::Cancel) does. Returns the pids of
    /// those that were signaled.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Blocked::fetch).
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     blocked.filter("blocking_activity__user=reports")?.cancel()
    /// }
    /// ```
    pub fn cancel(&mut self) -> Result<Vec<i32>, Error> {
        self.signal(SignalPolicy::new(Escalation::Cancel))
    }

    /// Terminates the blocking sessions, as [`Terminate`](struct@crate::Terminate) does. Returns the pids of those that
    /// were signaled.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Blocked::fetch).
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     let canceled = blocked.clone().cancel()?;
    ///     println!("canceled before they are terminated: {canceled:?}");
    ///     blocked.terminate()
    /// }
    /// ```
    pub fn terminate(&mut self) -> Result<Vec<i32>, Error> {
        self.signal(SignalPolicy::new(Escalation::Terminate))
    }

    pub(crate) fn signal(&mut self, mut policy: SignalPolicy) -> Result<Vec<i32>, Error> {
        policy.conditions.extend(self.conditions.iter().cloned());
        self.watcher.signal(self.waiting.clone(), policy)
    }
}

impl fmt::Debug for Blocked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocked")
            .field("waiting", &self.waiting)
            .field("conditions", &self.conditions)
            .finish_non_exhaustive()
    }
}
