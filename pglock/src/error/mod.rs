//! The one error type: opaque, classified by [`ErrorKind`].
//!
//! All messages are built here, one file per subject, so that the same cause reads the same wherever it occurs. A message
//! is one sentence in lower case that names the thing, the cause and the remedy. Only a busy lock is a normal outcome, which is
//! shown to people who cannot change the program: its remedy is a hint.

mod failure;
mod find;
mod grants;
mod holder;
pub(crate) mod humanize;
mod io;
mod locks;
mod prioritize;
mod retry;
#[cfg(feature = "serde")]
pub(crate) mod serialize;
mod sessions;
mod statements;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::SqlState;

pub(crate) use failure::Failure;
#[cfg(test)]
pub(crate) use failure::VirtualTransaction;
#[cfg(any(feature = "diesel", feature = "diesel-async", feature = "sqlx"))]
pub(crate) use failure::transaction_in_the_way;
pub(crate) use holder::{Found, process_without_client};
pub use holder::{Holder, LastRun};
pub(crate) use locks::{SKIP, TRY_LOCK, unless_busy};
pub(crate) use retry::LockTimedOut;

/// Why a lock could not be acquired, or was lost.
///
/// [`kind`](Error::kind) says what happened, [`holder`](Error::holder) which session holds the lock. The message (`{}`) names
/// the cause and the remedy; of a busy lock it says who holds it and for how long, and the remedy is the [`hint`](Error::hint).
/// It never contains a password or the holder's query, and never repeats the [source](StdError::source), such as the server's
/// reply: `{:?}` shows message, hint and sources.
///
/// ```
/// fn report(error: &pglock::Error) {
///     match error.holder() {
///         Some(holder) => println!("skipped: {} holds the lock", holder.application_name),
///         None => println!("{error}"),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    holder: Option<Holder>,
    sql_state: Option<SqlState>,
    body_finished: bool,
    is_of_standby: bool,
    last_run: Option<LastRun>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What happened, for code that handles errors by kind. The page on [errors](crate::_guide::errors) has the causes of each,
/// and what to do.
///
/// ```
/// use pglock::ErrorKind;
///
/// fn is_retryable(error: &pglock::Error) -> bool {
///     match error.kind() {
///         ErrorKind::Busy | ErrorKind::Connect | ErrorKind::Deadlock => true,
///         ErrorKind::Lost => !error.body_finished(),
///         _ => false,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another session holds the lock, and held it until the timeout: [what to do](crate::_guide::errors#busy).
    Busy,
    /// The lock was acquired and is no longer held, or its release could not be confirmed: [what to
    /// do](crate::_guide::errors#lost).
    Lost,
    /// Postgres detected a deadlock, a cycle of sessions that wait for each other, and ended this wait: [what to
    /// do](crate::_guide::errors#deadlock).
    Deadlock,
    /// There is no session: the server could not be reached, refused the connection, or closed it during the wait: [what to
    /// do](crate::_guide::errors#connect).
    Connect,
    /// Postgres refused a statement for another reason, see [`Error::sql_state`]: [what to
    /// do](crate::_guide::errors#database).
    Database,
    /// pglock is used in a way that cannot work, and the message says what to write instead: [what to
    /// do](crate::_guide::errors#config).
    Config,
    /// Your own side effect under [`prioritize`](fn@crate::prioritize) failed or panicked: [what to
    /// do](crate::_guide::errors#sideeffect).
    SideEffect,
    /// The environment cannot hold a lock, as a standby, or a process in which no thread could be started: [what to
    /// do](crate::_guide::errors#environment).
    Environment,
}

impl Error {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether another session holds the lock: [`ErrorKind::Busy`].
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.kind() == ErrorKind::Busy
    }

    /// Whether the lock was acquired and is no longer held: [`ErrorKind::Lost`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.kind() == ErrorKind::Lost
    }

    /// Whether Postgres ended the wait as a deadlock: [`ErrorKind::Deadlock`].
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        self.kind() == ErrorKind::Deadlock
    }

    /// Whether there was no session: [`ErrorKind::Connect`].
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind() == ErrorKind::Connect
    }

    /// Whether Postgres refused a statement: [`ErrorKind::Database`].
    #[must_use]
    pub fn is_database(&self) -> bool {
        self.kind() == ErrorKind::Database
    }

    /// Whether pglock is used in a way that cannot work: [`ErrorKind::Config`].
    #[must_use]
    pub fn is_config(&self) -> bool {
        self.kind() == ErrorKind::Config
    }

    /// Whether the environment cannot hold a lock: [`ErrorKind::Environment`].
    #[must_use]
    pub fn is_environment(&self) -> bool {
        self.kind() == ErrorKind::Environment
    }

    /// Whether your own side effect failed or panicked: [`ErrorKind::SideEffect`].
    #[must_use]
    pub fn is_side_effect(&self) -> bool {
        self.kind() == ErrorKind::SideEffect
    }

    /// The session that held the lock when the wait for it ended; `None` when that was no longer known. What is not
    /// [due](crate::Advisory::once_in) is held by nobody: see [`last_run`](Error::last_run).
    ///
    /// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html) and
    /// [`pg_stat_activity`](https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW).
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.0.holder.as_ref()
    }

    /// What can be done about a busy lock, in the program that asked for it or in the database; `None` for other errors,
    /// whose message says it.
    ///
    /// It is for those who write and operate the program. The message is not: it can be shown to whoever asked for the work.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let guard = pglock::advisory("invoices").acquire()?;
    /// use std::time::Duration;
    ///
    /// let error = pglock::advisory("invoices").timeout(Duration::ZERO).acquire().unwrap_err();
    /// let answer = format!("409 Conflict\r\n\r\n{error}"); // lock "invoices" is busy: held for 2.3 s by ..
    /// eprintln!("{error:?}"); // the same, and the hint below it
    /// # assert!(error.hint().is_some_and(|hint| !answer.contains(hint)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The SQLSTATE of the error that Postgres reported; `None` when it reported none.
    #[must_use]
    pub fn sql_state(&self) -> Option<&SqlState> {
        self.0.sql_state.as_ref()
    }

    /// Whether the body had returned `Ok` before the loss of its lock was noticed.
    ///
    /// The work is done then, and a retry would do it twice.
    #[must_use]
    pub fn body_finished(&self) -> bool {
        self.0.body_finished
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// Shows the message, the hint and the sources, for a `main` that returns an error; never the holder's query.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(hint) = self.hint() {
            write!(f, "\n  hint: {hint}")?;
        }
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    /// The server's reply is a [`DbError`](tokio_postgres::error::DbError). The driver's error around it says nothing but that there
    /// is one.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        let reply = source
            .downcast_ref()
            .and_then(tokio_postgres::Error::as_db_error);
        Some(reply.map_or(source as _, |reply| reply as _))
    }
}

/// The remedy where only the source knows more.
pub(crate) const SEE_SOURCE: &str = "print this error with `{:?}` to see why";

/// Building blocks of the messages in the other files.
impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            holder: None,
            sql_state: None,
            body_finished: false,
            is_of_standby: false,
            last_run: None,
            source: None,
        }))
    }

    /// Whether it is of a run that is not due, for which nobody need be waited for.
    pub(crate) fn is_not_due(&self) -> bool {
        self.0.last_run.is_some()
    }

    pub(crate) fn is_of_standby(&self) -> bool {
        self.0.is_of_standby
    }

    #[cfg(feature = "sqlx")]
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn caused_by(mut self, failure: Failure) -> Self {
        self.0.sql_state = failure.sql_state;
        self.0.source = Some(failure.source);
        self
    }

    pub(crate) fn sourced(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Puts the place of the mistake in front, such as a file and a line, or an environment variable.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.0.message.insert_str(0, &format!("{place}: "));
        self
    }

    /// Adds to a loss that the body had already returned; once, even if called again by an outer call.
    pub(crate) fn after_the_body(mut self) -> Self {
        if self.is_lost() && !self.0.body_finished {
            self.0.body_finished = true;
            self.0.message.push_str(
                "; the body had finished before that was noticed, so its work is done and a retry would do it twice",
            );
        }
        self
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }
}
