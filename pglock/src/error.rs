//! The one error type: opaque, told apart by [`ErrorKind`].

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinError;
use tokio_postgres::error::SqlState;

use crate::options::Wait;
use crate::tls;
use crate::wire::Failure;

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

/// Who has the lock that could not be had.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut other = database.connect_as("worker-1");
/// # let guard = pglock::advisory("invoices").on(&mut other).acquire()?;
/// # pglock::configure(database.url())?;
/// use std::time::Duration;
///
/// let error = pglock::advisory("invoices").timeout(Duration::from_millis(10)).acquire().unwrap_err();
/// let holder = error.holder().expect("it is still there");
/// assert_eq!(holder.application_name, "worker-1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The holder's backend, as in `pg_stat_activity`; 0 for a prepared transaction.
    pub pid: i32,
    /// What the holder calls itself; empty when it doesn't say.
    pub application_name: String,
    /// The role that it logged in with; `None` when it is gone by now.
    pub user: Option<String>,
    /// Where it connects from; `None` for a unix socket, or where our role may not see it.
    pub client_addr: Option<IpAddr>,
    /// Whether it is a session of pglock's own in this very process: a guard, or a call in another thread or task.
    pub this_process: bool,
    /// Its current or latest statement; `None` where our role may not see it.
    pub query: Option<String>,
    /// When it got the lock; known only while it has run no statement since, on a session that our role may see.
    pub since: Option<SystemTime>,
}

/// Shows what [`Display`](fmt::Display) does: the query may have a secret in it.
impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({self})")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        let mut details = Vec::new();
        if !self.application_name.is_empty() {
            details.push(format!("{:?}", self.application_name));
        }
        if let Some(user) = &self.user {
            details.push(format!("user {user:?}"));
        }
        if let Some(address) = &self.client_addr {
            details.push(format!("from {address}"));
        }
        if !details.is_empty() {
            write!(f, " ({})", details.join(", "))?;
        }
        Ok(())
    }
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

/// Of a side effect's own.
impl Error {
    /// An error of a [side effect](crate::PrioritizeSideEffect) of your own, for the end of the section.
    ///
    /// ```
    /// let error = pglock::Error::side_effect("the pager is away");
    /// assert_eq!(error.kind(), pglock::ErrorKind::SideEffect);
    /// ```
    pub fn side_effect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::SideEffect,
            "the side effect of a prioritized section failed; the source says why",
        )
        .sourced(source)
    }
}

/// The texts, in one place, so that one thing is said in one way.
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

    /// `skip` says how to go without the lock.
    pub(crate) fn busy(
        id: &dyn fmt::Display,
        wait: Wait,
        holder: Option<Holder>,
        skip: &str,
    ) -> Self {
        let who = match &holder {
            Some(holder) if holder.this_process => format!(
                "this process has it itself, in a guard or in a call of another thread or task ({holder})"
            ),
            Some(holder) => format!("{holder} has it"),
            None => "whoever has it can't be seen".to_owned(),
        };
        let advice = match wait {
            Wait::Millis(millis) => format!(
                "and waiting for {} was not enough; wait longer with `timeout`, or {skip}",
                HumanMillis(millis)
            ),
            Wait::Try => {
                format!("and it was tried only once; wait for it with `timeout`, or {skip}")
            }
            // Then the session had a limit.
            Wait::Forever => format!(
                "and waiting for as long as `lock_timeout` says was not enough; wait longer with `timeout`, or {skip}"
            ),
        };
        let mut error = Self::new(
            ErrorKind::Busy,
            format!("lock {id} is busy: {who}, {advice}"),
        );
        error.0.holder = holder;
        error
    }

    pub(crate) fn lost(id: &dyn fmt::Display, why: &str) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was lost: {why}; others may have run since, so check what was done before a retry"
            ),
        )
    }

    pub(crate) fn lost_by(id: &dyn fmt::Display, why: &str, failure: Failure) -> Self {
        Self::lost(id, why).caused_by(failure)
    }

    pub(crate) fn left_open(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "a transaction was left open under lock {id}, and was rolled back before the release, since the next holder would not have seen its work; commit it before the release"
        ))
    }

    pub(crate) fn held_too_long(id: &dyn fmt::Display, limit: Duration) -> Self {
        Self::new(
            ErrorKind::Lost,
            format!(
                "lock {id} was held for longer than its hold_at_most ({limit:?}), so the body was stopped before the lock was released; check what was done before a retry, and raise hold_at_most if the work needs longer"
            ),
        )
    }

    pub(crate) fn lost_to_fork(id: &dyn fmt::Display) -> Self {
        Self::lost(id, "this process was forked from the one that holds it")
    }

    #[cfg(feature = "rustls")]
    pub(crate) fn tls(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::config(message).sourced(source)
    }

    pub(crate) fn no_session(purpose: &dyn fmt::Display, place: &str, failure: Failure) -> Self {
        let why = why_no_session(&failure);
        Self::new(
            ErrorKind::Connect,
            format!("there is no session for {purpose}: connecting to {place} failed, {why}"),
        )
        .caused_by(failure)
    }

    pub(crate) fn connect_timeout(
        purpose: &dyn fmt::Display,
        place: &str,
        after: Duration,
    ) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "there is no session for {purpose}: {place} did not answer within {after:?}; check the network, or raise `connect_timeout` in the url"
            ),
        )
    }

    pub(crate) fn pooler(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} can't be kept through {place}: it is a pooler that gives each transaction another session of the server (transaction or statement mode), where a session lock goes astray; use `xact`, or connect to postgres directly or to a pool in session mode"
        ))
    }

    pub(crate) fn standby(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} is of no use on {place}: it is a standby, and locks there exclude nobody on the primary; name the primary, or all hosts with `target_session_attrs=read-write`"
        ))
    }

    pub(crate) fn no_locks(purpose: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "{purpose} would exclude nobody on {place}: it gave two sessions one exclusive lock at the same time, as some databases do that only speak postgres's protocol; use a postgres server"
        ))
    }

    pub(crate) fn lock_table(id: &dyn fmt::Display, place: &str) -> Self {
        Self::environment(format!(
            "lock {id} was not asked for, since this process holds so many on {place} that they fill half of the server's lock table, and a full one stops everybody; hold fewer at once, or raise `max_locks_per_transaction`"
        ))
    }

    pub(crate) fn not_postgres(purpose: &dyn fmt::Display, place: &str, failure: Failure) -> Self {
        Self::environment(format!(
            "{purpose} can't be had on {place}: it doesn't know what every postgres server since version 13 knows, so it may only speak its protocol; use a postgres server"
        ))
        .caused_by(failure)
    }

    pub(crate) fn engine_ended(id: &dyn fmt::Display) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "pglock's thread ended while lock {id} was waited for; call again, and a new one starts"
            ),
        )
    }

    /// A statement failed before the lock was had; `failure` decides of which kind that is.
    pub(crate) fn not_acquired(id: &dyn fmt::Display, failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                format!(
                    "the session ended while lock {id} was waited for; call again once the server is back"
                ),
            )
        } else if failure.is(&SqlState::T_R_DEADLOCK_DETECTED) {
            (
                ErrorKind::Deadlock,
                format!(
                    "waiting for lock {id} would have waited for ever, since its holder waits for a lock of ours; take locks in the same order everywhere"
                ),
            )
        } else if failure.is(&SqlState::QUERY_CANCELED) {
            (
                ErrorKind::Database,
                format!(
                    "waiting for lock {id} was canceled in the server, by someone else or by a `statement_timeout`; call again if that was a mistake"
                ),
            )
        } else if failure.is(&SqlState::UNDEFINED_TABLE)
            || failure.is(&SqlState::INVALID_SCHEMA_NAME)
        {
            (
                ErrorKind::Config,
                format!(
                    "lock {id} can't be taken, since there is no such table; check the spelling, upper and lower case too, or name its schema"
                ),
            )
        } else if failure.is(&SqlState::OUT_OF_MEMORY) {
            (
                ErrorKind::Database,
                format!(
                    "lock {id} did not fit into the server's memory, most likely its lock table; raise `max_locks_per_transaction`"
                ),
            )
        } else {
            (
                ErrorKind::Database,
                format!("postgres refused to take lock {id}; the source says why"),
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn inside_a_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was asked for inside a transaction, where a session lock would be released at the wrong time; use `acquire_xact` (or `xact`) on the transaction, or ask before it begins"
        ))
    }

    pub(crate) fn outside_a_transaction(id: &dyn fmt::Display, failure: Failure) -> Self {
        Self::config(format!(
            "lock {id} was asked for in a transaction that is not open; begin one first, as in `conn.transaction(|conn| ..)`"
        ))
        .caused_by(failure)
    }

    pub(crate) fn in_aborted_transaction(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} was asked for in a transaction that an earlier error has aborted; roll back first"
        ))
    }

    pub(crate) fn setting_failed(failure: Failure) -> Self {
        if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) {
            return Self::config(
                "a lock timeout was asked for in a transaction that an earlier error has aborted; roll back first",
            )
            .caused_by(failure);
        }
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session ended while its lock timeout was set; connect again",
            )
        } else {
            (
                ErrorKind::Database,
                "postgres refused to set the lock timeout; the source says why",
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn not_prioritized(failure: Failure) -> Self {
        if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) {
            return Self::config(
                "a connection was to be prioritized in a transaction that an earlier error has aborted; roll back first",
            )
            .caused_by(failure);
        }
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session that was to be prioritized has ended; connect again",
            )
        } else {
            (
                ErrorKind::Database,
                "postgres refused to tell the session that was to be prioritized; the source says why",
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    /// The watcher has no database to look at.
    pub(crate) fn no_watcher(mut self) -> Self {
        self.0.message = format!(
            "the watcher of prioritized sections needs a connection of its own: {}",
            self.0.message
        );
        self
    }

    pub(crate) fn watch_failed(failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session of the watcher of prioritized sections ended at a look, so who was in the way may or may not have been hit; look at the server's log",
            )
        } else {
            (
                ErrorKind::Database,
                "postgres refused a look of the watcher of prioritized sections, so who was in the way may not have been hit; the source says why",
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn watch_timeout(after: Duration) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "a look of the watcher of prioritized sections had no answer within {after:?}, so who was in the way may still be hit; check the server and the network"
            ),
        )
    }

    pub(crate) fn watch_lost() -> Self {
        Self::new(
            ErrorKind::Connect,
            "pglock's thread ended while it watched a prioritized section, so who was in the way may not have been hit; call again, and a new one starts",
        )
    }

    pub(crate) fn watch_lost_to_fork() -> Self {
        Self::config(
            "a prioritized section is watched in the process that began it, and this one was forked from it; begin it after the fork",
        )
    }

    pub(crate) fn setting_lost_to_fork() -> Self {
        Self::config(
            "the lock timeout of a connection is put back in the process that set it, and this one was forked from it; connect after the fork",
        )
    }

    pub(crate) fn section_not_found(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "the watcher looks at {place}, and there is no session {pid} there to prioritize; name the database of the connection with `using`, unless the session has ended"
        ))
    }

    pub(crate) fn section_elsewhere(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "the watcher looks at {place}, and session {pid}, which is to be prioritized, is in another database there; name that with `using`"
        ))
    }

    pub(crate) fn side_effect_panicked(ended: JoinError) -> Self {
        let why = match ended.try_into_panic() {
            Ok(payload) => match payload.downcast_ref::<&str>() {
                Some(text) => (*text).to_owned(),
                None => payload
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or_else(|| "no text".to_owned()),
            },
            Err(_) => "the process ends".to_owned(),
        };
        Self::new(
            ErrorKind::SideEffect,
            format!("the side effect of a prioritized section panicked ({why}); mend its `worker`"),
        )
    }

    pub(crate) fn waits_for_itself(id: &dyn fmt::Display, holder: &str) -> Self {
        Self::config(format!(
            "lock {id} is already held by {holder}, so this call would wait for itself; release it first, or use a `timeout`"
        ))
    }

    pub(crate) fn exclusive_inside_shared(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is held as shared by a call around this one, so asking for it as exclusive would wait for itself; take it as exclusive outside"
        ))
    }

    pub(crate) fn no_table(name: &str) -> Self {
        Self::config(format!(
            "there is no table {name}; check the spelling, upper and lower case too, or name its schema"
        ))
    }

    pub(crate) fn look_failed(failure: Failure) -> Self {
        if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) {
            return Self::config(
                "the locks were asked for in a transaction that an earlier error has aborted; roll back first",
            )
            .caused_by(failure);
        }
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session ended while the locks were asked for; connect again",
            )
        } else {
            (
                ErrorKind::Database,
                "postgres refused to tell the locks; the source says why",
            )
        };
        Self::new(kind, message).caused_by(failure)
    }
}

/// The cause and the remedy, in our words: the source's own are behind it, and may be another language's.
fn why_no_session(failure: &Failure) -> &'static str {
    const UNKNOWN: &str =
        "for the reason in the source; check that the server runs and the url is right";
    if let Some(state) = &failure.sql_state {
        return match *state {
            SqlState::INVALID_PASSWORD => "since the password is wrong, or there is no such user",
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "since the server refuses this user from this host; check the user's name, pg_hba.conf, and whether it wants TLS (`sslmode`)"
            }
            SqlState::INVALID_CATALOG_NAME => "since there is no such database",
            SqlState::TOO_MANY_CONNECTIONS => {
                "since the server has no free connection; hold fewer locks at once, or raise `max_connections`"
            }
            SqlState::PROTOCOL_VIOLATION
                if failure.source.to_string().contains("startup parameter")
                    || (failure.source.source())
                        .is_some_and(|cause| cause.to_string().contains("startup parameter")) =>
            {
                "since a pooler refuses what the url sets (`options`); leave it out, or name it in the pooler's `ignore_startup_parameters`"
            }
            SqlState::CANNOT_CONNECT_NOW => "since the server is starting or stopping; call again",
            _ => UNKNOWN,
        };
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&*failure.source);
    while let Some(error) = cause {
        if let Some(why) = tls::why_no_session(error) {
            return why;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    "since nothing listens there; check the port, and that the server runs"
                }
                std::io::ErrorKind::NotFound => {
                    "since there is no such socket; check the folder and the port, and that the server runs"
                }
                std::io::ErrorKind::PermissionDenied => "since this user may not use the socket",
                std::io::ErrorKind::TimedOut => {
                    "since it did not answer; check the host and the network"
                }
                _ if io.to_string().contains("lookup") => "since the host's name can't be resolved",
                _ => UNKNOWN,
            };
        }
        if error.to_string() == "password missing" {
            return "since the server asks for a password, and the url has none";
        }
        cause = error.source();
    }
    UNKNOWN
}

/// How to go without an advisory lock.
pub(crate) const SKIP: &str = "skip with `side_effect = Skip` or `try_acquire`";

/// How to go without a table lock.
pub(crate) const TRY_LOCK: &str = "try with `try_lock`";

struct HumanMillis(i32);

impl fmt::Display for HumanMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}",
            Duration::from_millis(u64::from(self.0.unsigned_abs()))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::LockId;

    fn holder() -> Holder {
        Holder {
            pid: 42,
            application_name: "pglock: worker-1".into(),
            user: Some("app".into()),
            client_addr: None,
            this_process: false,
            query: Some("SELECT 'secret'".into()),
            since: None,
        }
    }

    #[test]
    fn busy_names_the_holder_and_not_its_query() {
        let error = Error::busy(
            &LockId::from("invoices"),
            Wait::Millis(2000),
            Some(holder()),
            SKIP,
        );
        assert!(error.is_busy());
        let text = error.to_string();
        assert!(
            text.contains(
                r#"lock "invoices" is busy: pid 42 ("pglock: worker-1", user "app") has it"#
            ),
            "{text}"
        );
        assert!(text.contains("waiting for 2s"), "{text}");
        assert!(!format!("{error} {error:?} {:?}", error.holder()).contains("secret"));
    }

    #[test]
    fn a_finished_body_is_said_once() {
        let error = Error::lost(&LockId::from(1), "its session ended")
            .after_the_body()
            .after_the_body();
        assert!(error.body_finished());
        assert_eq!(error.to_string().matches("had finished").count(), 1);
    }
}
