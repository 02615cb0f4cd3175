//! The one error type: opaque, told apart by [`ErrorKind`]. What is said of what is in the files beside this one, so that
//! one thing is said in one way.

mod failure;
mod holder;
pub(crate) mod humanize;
mod locks;
mod prioritize;
mod sessions;
mod statements;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::SqlState;

pub(crate) use failure::Failure;
pub use holder::Holder;
pub(crate) use locks::{SKIP, TRY_LOCK, unless_busy};

/// Why a lock could not be had, or was not kept.
///
/// [`kind`](Error::kind) tells what happened, [`holder`](Error::holder) who was in the way. The text says what to
/// do; it never has a password or the holder's query in it, and never repeats the [source](StdError::source).
///
/// ```
/// fn report(error: &pglock::Error) {
///     match error.holder() {
///         Some(holder) => println!("skipped: {} has the lock", holder.application_name),
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
    holder: Option<Holder>,
    sql_state: Option<SqlState>,
    body_finished: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What happened, for code that decides by it.
///
/// ```
/// use pglock::ErrorKind;
///
/// fn can_be_tried_again(error: &pglock::Error) -> bool {
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
    /// Somebody else holds the lock, and kept it for as long as we were willing to wait.
    Busy,
    /// The lock was had, and no longer is; or its release could not be confirmed.
    Lost,
    /// Waiting for the lock would have waited for ever: Postgres found a cycle and ended this wait.
    Deadlock,
    /// There is no session: the server could not be reached, refused us, or went away while we waited.
    Connect,
    /// Postgres refused a statement for another reason; see [`Error::sql_state`].
    Database,
    /// pglock is used in a way that cannot work; the text says what to write instead.
    Config,
    /// A side effect of your own under [`prioritize`](fn@crate::prioritize) failed or panicked.
    SideEffect,
    /// The surroundings cannot carry a lock, such as a standby or a thread that could not be started.
    Environment,
}

impl Error {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether somebody else has the lock: [`ErrorKind::Busy`].
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.kind() == ErrorKind::Busy
    }

    /// Whether the lock was had and no longer is: [`ErrorKind::Lost`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.kind() == ErrorKind::Lost
    }

    /// Whether the wait was one of a cycle of waits: [`ErrorKind::Deadlock`].
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

    /// Whether the surroundings cannot carry a lock: [`ErrorKind::Environment`].
    #[must_use]
    pub fn is_environment(&self) -> bool {
        self.kind() == ErrorKind::Environment
    }

    /// Who had the lock when the wait for it ended, where that could still be seen.
    ///
    /// Stands on [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html) and
    /// [`pg_stat_activity`](https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW).
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.0.holder.as_ref()
    }

    /// The SQLSTATE that Postgres gave, where there was one.
    #[must_use]
    pub fn sql_state(&self) -> Option<&SqlState> {
        self.0.sql_state.as_ref()
    }

    /// Whether the work was done all the same: a lost lock was noticed only after the body had returned `Ok`.
    ///
    /// A blind retry would then do the work twice.
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

/// Shows the text and the sources, for a `main` that returns an error; the holder's query stays out of it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// What all of them are made of.
impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            holder: None,
            sql_state: None,
            body_finished: false,
            source: None,
        }))
    }

    fn caused_by(mut self, failure: Failure) -> Self {
        self.0.sql_state = failure.sql_state;
        self.0.source = Some(failure.source.into());
        self
    }

    pub(crate) fn sourced(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Says where the mistake was made.
    #[cfg(feature = "toml")]
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.0.message.insert_str(0, &format!("{place}: "));
        self
    }

    /// Says that the body had returned when the loss was noticed.
    pub(crate) fn after_the_body(mut self) -> Self {
        if self.is_lost() && !self.0.body_finished {
            self.0.body_finished = true;
            self.0.message.push_str(
                "; the body had finished by then, so its work is done and a retry would do it twice",
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
