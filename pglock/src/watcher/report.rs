//! What was done about sessions that block others, or was not, and the report of a prioritized section.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::{Error, process_without_client};
use crate::model::backend::Backend;
use crate::sql::Row;
use crate::telemetry::{SignalReport, TraceContext};
use crate::view::State;
use crate::view::sql::SignalColumn;

/// The sessions that blocked a prioritized section, and what was done about them. See
/// [`finish`](crate::PrioritizeScope::finish).
///
/// Its `Display` has a line for each blocker, for a log.
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
    /// All blockers, in the order in which they were found: one entry per session and action.
    #[must_use]
    pub fn blockers(&self) -> &[Blocker] {
        &self.blockers
    }

    /// The pids of the sessions that were canceled or terminated, each once.
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

    /// The first error of a poll or of a side effect, in a report from before the end. With an error, the report may
    /// lack sessions that blocked the section.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether a side effect of your own was still running one second after the section had ended. Its result is not in
    /// this report, and it can no longer signal a session through pglock.
    #[must_use]
    pub fn side_effect_unfinished(&self) -> bool {
        self.side_effect_unfinished
    }

    /// Adds what a poll has found, and answers whether it is new. Known entries are not added again: one blocker would
    /// fill the memory during a long section.
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

    /// Adds the sessions that a side effect reports as signaled. Returns those that were not known.
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
            return f.write_str("no session blocked it");
        }
        f.write_str(&lines.join("\n"))
    }
}

/// A session that blocked a prioritized section, or that an [action](crate::Locks::report) on locks found, and what was
/// done to it.
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
///         BlockerAction::Terminated => println!("terminated {:?}", blocker.user),
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
    /// When it connected; `None` where our role may not see it. Together with the pid it identifies the session.
    pub backend_start: Option<SystemTime>,
    /// The kind of process, such as `CLIENT_BACKEND` or `AUTOVACUUM_WORKER`; `None` where our role may not see it.
    pub backend_type: Option<String>,
    /// Its `application_name`; empty if it has none.
    pub application_name: String,
    /// The role that it logged in as.
    pub user: Option<String>,
    /// What it was doing; `None` where our role may not see it.
    pub state: Option<State>,
    /// Its current or latest statement; `None` where our role may not see it.
    pub query: Option<String>,
    /// What was done, or why nothing was.
    pub action: BlockerAction,
    /// When that was, by this process's clock.
    pub at: SystemTime,
    pub(crate) started: Option<i64>,
}

impl Blocker {
    /// Reads a row of a statement that signals.
    pub(crate) fn read(row: &Row<'_>, dry_run: bool) -> Option<Self> {
        let text = |column: SignalColumn| row.text(column as usize);
        let lossy = |column: SignalColumn| row.lossy(column as usize);
        let started: Option<i64> = row.parsed(SignalColumn::Started as usize);
        let action = match (
            text(SignalColumn::Spared),
            text(SignalColumn::Action),
            text(SignalColumn::Signaled),
        ) {
            (Some(spared), _, _) => BlockerAction::Spared(Spared::of(spared)?),
            // The server found no such session.
            (None, _, Some("false")) => BlockerAction::Spared(Spared::Gone),
            (None, Some("terminate"), _) if dry_run => BlockerAction::WouldTerminate,
            (None, Some("terminate"), _) => BlockerAction::Terminated,
            (None, _, _) if dry_run => BlockerAction::WouldCancel,
            (None, _, _) => BlockerAction::Canceled,
        };
        Some(Self {
            pid: row.parsed(SignalColumn::Pid as usize)?,
            backend_start: started
                .and_then(|micros| u64::try_from(micros).ok())
                .map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros)),
            backend_type: text(SignalColumn::BackendType).map(str::to_owned),
            application_name: lossy(SignalColumn::ApplicationName).unwrap_or_default(),
            user: lossy(SignalColumn::User),
            state: text(SignalColumn::State).and_then(|state| state.parse().ok()),
            query: lossy(SignalColumn::Query),
            action,
            at: SystemTime::now(),
            started,
        })
    }

    /// Emits an event about it: each time it is signaled, and if it is spared where that `is_new`.
    pub(crate) fn emit(&self, context: &TraceContext, is_new: bool) {
        let report = |action| SignalReport {
            pid: self.pid,
            action,
            application_name: Some(&self.application_name),
            user: self.user.as_deref(),
        };
        match self.action {
            BlockerAction::Canceled => report("canceled").emit(context),
            BlockerAction::Terminated => report("terminated").emit(context),
            BlockerAction::Reported => report("reported").emit(context),
            BlockerAction::WouldCancel
            | BlockerAction::WouldTerminate
            // Not reported: it no longer blocks, is terminated soon, or is who asks.
            | BlockerAction::Spared(Spared::Gone | Spared::Grace | Spared::OwnSession) => {}
            BlockerAction::Spared(why) => {
                if is_new {
                    report("spared").emit_spared(context, &why);
                }
            }
        }
    }

    fn reported(pid: i32) -> Self {
        Self {
            pid,
            backend_start: None,
            backend_type: None,
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

/// Like [`Display`](fmt::Display), since the query may contain a secret.
impl fmt::Debug for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocker({self})")
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        let process = self
            .backend_type
            .as_deref()
            .and_then(process_without_client);
        if let Some(process) = process {
            write!(f, ", {process}")?;
        }
        if !self.application_name.is_empty() {
            write!(f, " ({:?})", self.application_name)?;
        }
        if let Some(user) = &self.user {
            write!(f, " of user {user:?}")?;
        }
        write!(f, ": {}", self.action)
    }
}

/// What was done to a blocking session.
///
/// A session that was signaled need not be gone: `Terminated` means that Postgres was asked to end it, and `Canceled`
/// that it was asked to end its statement, which frees nothing if its client continues the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockerAction {
    /// Its statement was canceled.
    Canceled,
    /// The session was terminated.
    Terminated,
    /// With `dry_run`, instead of [`Canceled`](BlockerAction::Canceled).
    WouldCancel,
    /// With `dry_run`, instead of [`Terminated`](BlockerAction::Terminated).
    WouldTerminate,
    /// A side effect of your own reported it as signaled.
    Reported,
    /// Nothing was done.
    Spared(Spared),
}

/// Why a blocking session was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spared {
    /// It is not a session but a prepared transaction: `COMMIT PREPARED` or `ROLLBACK PREPARED` ends it.
    PreparedTransaction,
    /// It ended before it could be signaled.
    Gone,
    /// It is one of pglock's own sessions in this process, or the connection of another prioritized section.
    Own,
    /// Its application name is on the list of those that are never signaled.
    Application,
    /// Its user is on the list of those that are never signaled.
    User,
    /// The filters leave it out.
    Filter,
    /// It was canceled, and the grace time of `Escalate` is not over.
    Grace,
    /// It runs no statement that could be canceled: it is idle, in a transaction or outside. Terminating it frees what it
    /// holds.
    Idle,
    /// It is an autovacuum worker that prevents transaction ID wraparound.
    Wraparound,
    /// It sends the write-ahead log to a standby, or is another process of the server without a client.
    Background,
    /// It only waits, ahead of the section, and another session bars the way of both that is not signaled: its end would
    /// win nothing.
    Queued,
    /// It is the session that asks, and [`include_own_session`](crate::Locks::include_own_session) was not called, or it
    /// would be canceled.
    OwnSession,
    /// Our role may not signal it. It has to be a member of the session's role or of `pg_signal_backend`; sessions of
    /// superusers take a superuser.
    Denied,
}

impl Spared {
    /// From the word that a statement says it with.
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "prepared" => Self::PreparedTransaction,
            "gone" => Self::Gone,
            "own" => Self::Own,
            "own session" => Self::OwnSession,
            "application" => Self::Application,
            "user" => Self::User,
            "filter" => Self::Filter,
            "grace" => Self::Grace,
            "wraparound" => Self::Wraparound,
            "background" => Self::Background,
            "denied" => Self::Denied,
            "idle" => Self::Idle,
            "queued" => Self::Queued,
            _ => return None,
        })
    }
}

impl fmt::Display for BlockerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canceled => f.write_str("canceled"),
            Self::Terminated => f.write_str("terminated"),
            Self::WouldCancel => f.write_str("would be canceled"),
            Self::WouldTerminate => f.write_str("would be terminated"),
            Self::Reported => f.write_str("signaled by the side effect"),
            Self::Spared(why) => write!(f, "spared because {why}"),
        }
    }
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreparedTransaction => "it is a prepared transaction",
            Self::Gone => "it had ended",
            Self::Own => "it is pglock's own, or prioritized too",
            Self::Application => "its application is never signaled",
            Self::User => "its user is never signaled",
            Self::Filter => "the filters leave it out",
            Self::Grace => "it was canceled and its grace time is not over",
            Self::Idle => "it is idle, so there is nothing to cancel",
            Self::Wraparound => "it is a vacuum to prevent wraparound",
            Self::Background => "it is a background process of the server",
            Self::Queued => "it only waits ahead, and who bars the way of both is not signaled",
            Self::OwnSession => "it is the session that asks",
            Self::Denied => "our role may not signal it",
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
    fn a_blocker_has_one_entry_per_action() {
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
    fn dry_runs_signal_nothing() {
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
