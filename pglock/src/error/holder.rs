//! Which session holds a busy lock, or has run what is not due again.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// The session that holds a busy lock: see [`Error::holder`](crate::Error::holder).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut other = database.connect_as("worker-1");
/// # let guard = pglock::advisory("invoices").on(&mut other).acquire()?;
/// # pglock::configure(database.url())?;
/// use std::time::Duration;
///
/// let error = pglock::advisory("invoices").timeout(Duration::from_millis(500)).acquire().unwrap_err();
/// let holder = error.holder().expect("it still holds the lock");
/// assert_eq!(holder.application_name, "worker-1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The holder's backend, as in `pg_stat_activity`; 0 for a prepared transaction. In a database without a server (feature
    /// `testing`) it is the process itself.
    pub pid: i32,
    /// Whether it does not hold the lock, but waits for it too, ahead of you, in a mode that conflicts with yours. Those who
    /// hold the lock are not in your way then.
    pub queued: bool,
    /// The name of the prepared transaction that holds the lock, if it is one: `PREPARE TRANSACTION` gave it, and `COMMIT
    /// PREPARED` or `ROLLBACK PREPARED` with it, in this database, frees the lock.
    pub prepared: Option<String>,
    /// The kind of process, such as `CLIENT_BACKEND` or `AUTOVACUUM_WORKER`, as in
    /// [`Activity::backend_type`](crate::Activity::backend_type); `None` when your role may not see it.
    pub backend_type: Option<String>,
    /// Its `application_name`; empty when it has not set one.
    pub application_name: String,
    /// The role that it logged in with, or that prepared the transaction; `None` when the session has ended meanwhile, and
    /// for processes of the server without one.
    pub user: Option<String>,
    /// The address that it connects from; `None` for a unix socket, or when your role may not see it.
    pub client_addr: Option<IpAddr>,
    /// Whether it is one of pglock's own sessions in this process: a guard, or a call in another thread or task.
    pub this_process: bool,
    /// Its current or latest statement; `None` when your role may not see it.
    pub query: Option<String>,
    /// The name of the lock, if the holder's statement says it: a statement of pglock that acquired the lock, or its
    /// heartbeat, which names the locks that a session has held longest. A name that does not hash to the lock's key is not
    /// believed.
    pub lock_name: Option<String>,
    /// When it acquired the lock, by the server's clock. Always known for what calls and guards of this process hold by the same
    /// [`Database`](crate::Database). Otherwise only for sessions that your role may see: for pglock's own from a moment after the acquire, unless they are
    /// in constant use for other locks, or a heartbeat has no room for it beside locks that they have held longer; for
    /// others that acquired it by pglock, until their next statement.
    pub since: Option<SystemTime>,
    /// How long it had held the lock when it was looked up; known when `since` is.
    pub held_for: Option<Duration>,
    /// How long it will keep the lock from then on, although its call has ended: what is left of
    /// [`hold_at_least`](crate::Advisory::hold_at_least). `None` while the call runs, and where `held_for` is not known.
    pub kept_for: Option<Duration>,
}

/// The last start of what is [`once_in`](crate::Advisory::once_in) and not due again: see
/// [`Error::last_run`](crate::Error::last_run).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRun {
    /// The `application_name` of the session that ran it, such as `pglock: program@host`; empty when it is not known.
    pub application_name: String,
    /// How long ago it began, by the server's clock.
    pub ago: Duration,
    /// The time within which it is not run again.
    pub once_in: Duration,
}

/// Shows the same as [`Display`](fmt::Display), without the query, which may contain a secret.
impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({self})")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.prepared, self.pid) {
            (Some(gid), _) => write!(f, "prepared transaction {gid:?}")?,
            // It ended while it was looked up.
            (None, 0) => f.write_str("a prepared transaction")?,
            (None, pid) => write!(f, "pid {pid}")?,
        }
        let mut details = Vec::new();
        details.extend(
            self.backend_type
                .as_deref()
                .and_then(process_without_client),
        );
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

/// What a look-up has found out about the holder of a busy lock.
#[derive(Clone, Debug, Default)]
pub(crate) enum Found {
    Holder(Box<Holder>),
    /// Nobody blocks it any more.
    Nobody,
    /// Our role may not look at the locks.
    NotVisible,
    /// Nobody asked, or there was no answer.
    #[default]
    Unknown,
}

impl Found {
    pub(crate) fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Holder(holder) => Some(holder),
            Self::Nobody | Self::NotVisible | Self::Unknown => None,
        }
    }
}

/// What a process of the server is, if it has no client: such processes have no name otherwise.
// Input:  AUTOVACUUM_WORKER
// Output: autovacuum worker
pub(crate) fn process_without_client(backend_type: &str) -> Option<String> {
    (backend_type != "CLIENT_BACKEND").then(|| backend_type.to_lowercase().replace('_', " "))
}

impl Holder {
    /// How its lock can be freed, if there is one way.
    // Input:  a prepared transaction "it's"
    // Output: end it with `ROLLBACK PREPARED 'it''s'`, or commit it with `COMMIT PREPARED`
    pub(super) fn remedy(&self) -> Option<String> {
        if self.kept_for.is_some() {
            return Some("its `hold_at_least` keeps it".to_owned());
        }
        if self.this_process && !self.queued {
            return Some("find the guard, thread or task of this process that holds it".to_owned());
        }
        let gid = self.prepared.as_ref()?.replace('\'', "''");
        Some(format!(
            "end it with `ROLLBACK PREPARED '{gid}'`, or commit it with `COMMIT PREPARED`"
        ))
    }
}
