//! Who was in the way.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

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
    /// When it got the lock, by the server's clock. Known of sessions that our role may see: of pglock's own while they hold
    /// it, of others until their next statement.
    pub since: Option<SystemTime>,
    /// For how long it had had the lock when it was looked up; known when `since` is.
    pub held_for: Option<Duration>,
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
