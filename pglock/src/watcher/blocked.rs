//! What a side effect is given.

use std::fmt;

use super::policy::{Escalation, KillPolicy};
use crate::error::Error;
use crate::model::backend::Backend;
use crate::view::sql::LocksQuery;
use crate::view::{BlockedLock, Condition, Matches};

/// The watcher, as a side effect can ask it.
pub(super) trait SectionWatcher: Sync {
    /// The locks that the query asks for.
    fn fetch(&self, query: LocksQuery) -> Result<Vec<BlockedLock>, Error>;

    /// Hits who blocks these sessions; answers whom it hit, by pid.
    fn signal(&self, waiting: Vec<Backend>, policy: KillPolicy) -> Result<Vec<i32>, Error>;
}

/// What a prioritized section waits for, and who is in the way: what a
/// [side effect](crate::PrioritizeSideEffect::worker) works with.
///
/// Everything it does runs on the watcher's connection. Once the section has ended, or the waits that were found are
/// over, nobody is found and nobody is hit any more.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use pglock::{Blocked, Error, PrioritizeSideEffect};
///
/// /// Cancels reports, and ends whoever else only idles.
/// struct ReportsFirst;
///
/// impl PrioritizeSideEffect for ReportsFirst {
///     fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
///         let mut reports = blocked.clone();
///         let mut hit = reports.filter("blocking_activity__application_name=reports")?.cancel()?;
///         let idlers = blocked
///             .exclude("blocking_activity__application_name=reports")?
///             .filter("blocking_activity__state=IDLE_IN_TRANSACTION")?;
///         hit.extend(idlers.terminate()?);
///         Ok(hit)
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

    /// The sessions of the section that wait: its connection, or such of pglock's own that wait for it.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.waiting.iter().map(|backend| backend.pid).collect()
    }

    /// From now on only those for which the filter holds too, which is one of
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

    /// From now on not those for which the filter holds.
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

    /// Asks for the locks that the section waits for: a row for each session that is in the way.
    ///
    /// # Errors
    ///
    /// As [`Locks::fetch`](crate::Locks::fetch), and [`ErrorKind::Connect`](crate::ErrorKind::Connect) when pglock's
    /// thread has ended.
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     for lock in blocked.fetch()? {
    ///         println!("{} is in the way", lock.blocking_activity.pid);
    ///     }
    ///     Ok(Vec::new()) // nobody was hit
    /// }
    /// ```
    pub fn fetch(&mut self) -> Result<Vec<BlockedLock>, Error> {
        self.watcher.fetch(LocksQuery {
            waiting: Some(self.pids()),
            conditions: self.conditions.clone(),
            ..LocksQuery::default()
        })
    }

    /// Cancels the statements of those in the way, as [`Cancel`](struct@crate::Cancel) does; answers whom it hit, by pid.
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
        self.signal(KillPolicy::new(Escalation::Cancel))
    }

    /// Ends the sessions in the way, as [`Terminate`](struct@crate::Terminate) does; answers whom it hit, by pid.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Blocked::fetch).
    ///
    /// ```
    /// # use pglock::{Blocked, Error};
    /// fn worker(blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
    ///     let canceled = blocked.clone().cancel()?;
    ///     println!("canceled before they are ended: {canceled:?}");
    ///     blocked.terminate()
    /// }
    /// ```
    pub fn terminate(&mut self) -> Result<Vec<i32>, Error> {
        self.signal(KillPolicy::new(Escalation::Terminate))
    }

    pub(crate) fn signal(&mut self, mut policy: KillPolicy) -> Result<Vec<i32>, Error> {
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
