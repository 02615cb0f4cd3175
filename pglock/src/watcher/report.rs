//! What became of the sessions that were in the way.

use std::fmt;
use std::time::SystemTime;

use crate::error::Error;
use crate::model::backend::Backend;
use crate::view::State;

/// Who was in the way of a prioritized section, and what was done about it: see
/// [`finish`](crate::PrioritizeScope::finish).
///
/// Its text has a line for each blocker, for the log.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// let mut section = pglock::prioritize().on(&mut client)?;
/// section.batch_execute("SELECT 1")?;
/// let report = section.finish()?;
/// assert!(report.blockers().is_empty(), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PrioritizeReport {
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) error: Option<Error>,
    pub(crate) side_effect_unfinished: bool,
}

impl PrioritizeReport {
    /// All who were in the way, in the order in which they were found: each once for each thing that was done.
    #[must_use]
    pub fn blockers(&self) -> &[Blocker] {
        &self.blockers
    }

    /// The pids of those that were canceled or ended, each once.
    #[must_use]
    pub fn signaled(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for blocker in self
            .blockers
            .iter()
            .filter(|blocker| blocker.was_signaled())
        {
            if !pids.contains(&blocker.pid) {
                pids.push(blocker.pid);
            }
        }
        pids
    }

    /// What went wrong first in a look or in a side effect, in a report that was asked for before the end: then others may
    /// have been in the way than those that are told.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether a side effect of your own was still at work a second after the section had ended; what came of it is not
    /// in this report, and it can hit nobody any more.
    #[must_use]
    pub fn side_effect_unfinished(&self) -> bool {
        self.side_effect_unfinished
    }

    /// Adds what a look has found, and answers whether it was new. What was known is left out: a section that lasts would fill the memory with one blocker.
    pub(crate) fn add(&mut self, blocker: Blocker) -> bool {
        let is_known = |known: &Blocker| {
            known.backend() == blocker.backend() && known.action == blocker.action
        };
        let is_new = !self.blockers.iter().any(is_known);
        if is_new {
            self.blockers.push(blocker);
        }
        is_new
    }

    /// Adds what a side effect says that it has hit by means of its own; answers whom nobody knew of.
    pub(crate) fn add_reported(&mut self, pids: Vec<i32>) -> Vec<i32> {
        let mut new = Vec::new();
        for pid in pids {
            if !self.signaled().contains(&pid) {
                self.blockers.push(Blocker::reported(pid));
                new.push(pid);
            }
        }
        new
    }
}

impl fmt::Display for PrioritizeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blockers = self.blockers.iter().map(ToString::to_string);
        let error = self.error.iter().map(ToString::to_string);
        let lines: Vec<String> = blockers.chain(error).collect();
        if lines.is_empty() {
            return f.write_str("nobody was in the way");
        }
        f.write_str(&lines.join("\n"))
    }
}

/// A session that was in the way of a prioritized section.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let (mut client, mut other) = (database.connect(), database.connect_as("report"));
/// # other.batch_execute("SELECT pg_advisory_lock(1)")?;
/// use std::time::Duration;
/// use pglock::{BlockerAction, Spared, Terminate};
///
/// let mut section = pglock::prioritize()
///     .interval(Duration::from_millis(100))
///     .timeout(Duration::from_millis(500))
///     .side_effect(Terminate::new().never_application("report"))
///     .on(&mut client)?;
/// section.batch_execute("SELECT pg_advisory_lock(1)").unwrap_err();
/// for blocker in section.finish()?.blockers() {
///     match blocker.action {
///         BlockerAction::Spared(Spared::Application) => println!("waited for {}", blocker.pid),
///         BlockerAction::Terminated => println!("ended {:?}", blocker.user),
///         action => println!("{}: {action}", blocker.pid),
///     }
///     # assert_eq!(blocker.action, BlockerAction::Spared(Spared::Application));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Blocker {
    /// Its backend; 0 for a prepared transaction.
    pub pid: i32,
    /// When it connected; `None` where our role may not see it. With the pid, it tells the session from all others.
    pub backend_start: Option<SystemTime>,
    /// What it calls itself; empty when it doesn't say.
    pub application_name: String,
    /// The role that it logged in with.
    pub user: Option<String>,
    /// What it was doing; `None` where our role may not see it.
    pub state: Option<State>,
    /// Its current or latest statement; `None` where our role may not see it.
    pub query: Option<String>,
    /// What was done, or why nothing was.
    pub action: BlockerAction,
    /// When that was, by this process' clock.
    pub at: SystemTime,
    pub(crate) started: Option<i64>,
}

impl Blocker {
    fn reported(pid: i32) -> Self {
        Self {
            pid,
            backend_start: None,
            application_name: String::new(),
            user: None,
            state: None,
            query: None,
            action: BlockerAction::Reported,
            at: SystemTime::now(),
            started: None,
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        Backend {
            pid: self.pid,
            started: self.started,
        }
    }

    /// Whether something was done to it.
    pub(crate) fn was_signaled(&self) -> bool {
        match self.action {
            BlockerAction::Canceled | BlockerAction::Terminated | BlockerAction::Reported => true,
            BlockerAction::WouldCancel
            | BlockerAction::WouldTerminate
            | BlockerAction::Spared(_) => false,
        }
    }
}

/// Shows what [`Display`](fmt::Display) does: the query may have a secret in it.
impl fmt::Debug for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocker({self})")
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if !self.application_name.is_empty() {
            write!(f, " ({:?})", self.application_name)?;
        }
        if let Some(user) = &self.user {
            write!(f, " of user {user:?}")?;
        }
        write!(f, ": {}", self.action)
    }
}

/// What was done to a session that was in the way.
///
/// A session that was hit need not be gone: `Terminated` means that Postgres was told to end it, and `Canceled` that
/// its statement was to end, which frees nothing where it only idles in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockerAction {
    /// Its statement was canceled.
    Canceled,
    /// The session was ended.
    Terminated,
    /// With `dry_run`, in place of [`Canceled`](BlockerAction::Canceled).
    WouldCancel,
    /// With `dry_run`, in place of [`Terminated`](BlockerAction::Terminated).
    WouldTerminate,
    /// A side effect of your own says that it has dealt with it.
    Reported,
    /// Nothing was done.
    Spared(Spared),
}

/// Why nothing was done to a session that was in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spared {
    /// It is no session but a prepared transaction: `COMMIT PREPARED` or `ROLLBACK PREPARED` ends it.
    PreparedTransaction,
    /// It was gone before it could be hit.
    Gone,
    /// It is pglock's own in this process, or the connection of another prioritized section.
    Own,
    /// Its application name is on the list of those never to be hit.
    Application,
    /// Its user is on the list of those never to be hit.
    User,
    /// The filters leave it out.
    Filter,
    /// It was canceled a moment ago, and has the grace time of `Escalate` to go.
    Grace,
    /// It is an autovacuum worker that keeps transaction IDs from running out.
    Wraparound,
    /// It sends the write-ahead log to a standby, or is another process of the server's that no client is behind.
    Background,
    /// Our role has no right to: it needs that of the other session's role or of `pg_signal_backend`, and for a
    /// superuser's session to be a superuser.
    Denied,
}

impl fmt::Display for BlockerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canceled => f.write_str("canceled"),
            Self::Terminated => f.write_str("terminated"),
            Self::WouldCancel => f.write_str("would be canceled"),
            Self::WouldTerminate => f.write_str("would be terminated"),
            Self::Reported => f.write_str("dealt with by the side effect"),
            Self::Spared(why) => write!(f, "spared, since {why}"),
        }
    }
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreparedTransaction => "it is a prepared transaction",
            Self::Gone => "it was gone",
            Self::Own => "it is pglock's own, or prioritized too",
            Self::Application => "its application is never to be signaled",
            Self::User => "its user is never to be signaled",
            Self::Filter => "the filters leave it out",
            Self::Grace => "it was canceled and has a grace time",
            Self::Wraparound => "it is a vacuum against wraparound",
            Self::Background => "it is a process of the server's",
            Self::Denied => "our role has no right to signaled it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(pid: i32, started: i64, action: BlockerAction) -> Blocker {
        Blocker {
            started: Some(started),
            action,
            ..Blocker::reported(pid)
        }
    }

    #[test]
    fn a_blocker_is_told_once_for_each_thing_that_was_done() {
        let mut report = PrioritizeReport::default();
        let spared = BlockerAction::Spared(Spared::Filter);
        for _ in 0..3 {
            report.add(blocker(7, 1, spared));
        }
        report.add(blocker(7, 1, BlockerAction::Terminated));
        report.add(blocker(7, 2, BlockerAction::Terminated));
        assert_eq!(report.blockers().len(), 3);
        assert_eq!(report.signaled(), [7]);
    }

    #[test]
    fn what_a_side_effect_reports_is_added_to_what_is_known() {
        let mut report = PrioritizeReport::default();
        report.add(blocker(7, 1, BlockerAction::Canceled));
        assert_eq!(report.add_reported(vec![7, 8, 8]), [8]);
        assert_eq!(report.signaled(), [7, 8]);
        assert_eq!(report.blockers().len(), 2);
    }

    #[test]
    fn dry_runs_hit_nobody() {
        let mut report = PrioritizeReport::default();
        report.add(blocker(7, 1, BlockerAction::WouldTerminate));
        report.add(blocker(8, 1, BlockerAction::WouldCancel));
        assert!(report.signaled().is_empty());
        assert_eq!(
            report.to_string(),
            "pid 7: would be terminated\npid 8: would be canceled"
        );
    }
}
