//! A database handle: where its sessions connect, and how.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::connect::session_target::SessionTarget;
use super::conninfo::Parameters;
use super::credentials::{Credentials, CurrentCredentials};
use super::tls::Tls;
use crate::background::PerProcess;
use crate::error::Error;
use crate::model::liveness::Liveness;

/// A database for pglock's own sessions: a handle that is cheap to clone, for `using =`.
///
/// Handles with equal settings are the same database: they share sessions, and a call inside a call finds the outer one.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// let reports = pglock::Database::builder("postgres://app@reports.example/app").build()?;
/// reports.register("reports")?; // from now on also `using = "reports"`
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database(pub(super) Arc<Settings>);

pub(super) struct Settings {
    /// The parameters as given, with the name of the sessions.
    pub(super) given: Parameters,
    /// The configuration in use, with keepalives.
    pub(super) config: Config,
    pub(super) credentials: CurrentCredentials,
    pub(super) tls: Tls,
    pub(super) connect_timeout: Duration,
    pub(super) liveness: Liveness,
    pub(super) max_sessions: Option<usize>,
    pub(super) idle_timeout: Duration,
    pub(super) attached: Attached,
}

impl Settings {
    /// What makes it this database, apart from who logs in.
    fn identity(&self) -> impl PartialEq + '_ {
        let Parameters { tls, target, .. } = &self.given;
        (
            without_credentials(&self.config),
            (tls, target, &self.tls),
            (self.connect_timeout, self.liveness),
            (self.max_sessions, self.idle_timeout),
        )
    }
}

/// The driver cannot forget them.
fn without_credentials(config: &Config) -> Config {
    let mut config = config.clone();
    config.user("").password("");
    config
}

/// What the engine keeps with a database, for callers that have only its handle. It is not a setting.
#[derive(Default)]
pub(super) struct Attached(PerProcess<Option<Arc<dyn Any + Send + Sync>>>);

impl Attached {
    fn place(&self) -> &Mutex<Option<Arc<dyn Any + Send + Sync>>> {
        // The child has no use for what is the parent's.
        self.0.place(|_| None)
    }
}

impl Database {
    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.0.tls
    }

    pub(super) fn target(&self) -> SessionTarget {
        self.0.given.target
    }

    /// Who logs in from now on.
    pub(super) fn credentials(&self) -> Credentials {
        self.0.credentials.get()
    }

    /// The user of new sessions, if one is named.
    pub(crate) fn user(&self) -> Option<String> {
        self.credentials().user
    }

    /// The name of the database, which is that of the user where none is given.
    pub(crate) fn name(&self) -> Option<String> {
        let name = self.config().get_dbname().map(str::to_owned);
        name.or_else(|| self.user())
    }

    /// Has new sessions log in as those of the other handle, if the two differ in nothing else, and says whether they do not.
    pub(super) fn renew_credentials(&self, by: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &by.0) {
            return true;
        }
        let is_the_same = self.name() == by.name() && self.0.identity() == by.0.identity();
        if is_the_same {
            self.0.credentials.renew(by.credentials());
        }
        is_the_same
    }

    /// Keeps a value with the handle, instead of the one before.
    pub(crate) fn attach<T: Any + Send + Sync>(&self, value: &Arc<T>) {
        if let Ok(mut attached) = self.0.attached.place().try_lock() {
            let is_it = |it: &Arc<dyn Any + Send + Sync>| {
                std::ptr::addr_eq(Arc::as_ptr(it), Arc::as_ptr(value))
            };
            if !attached.as_ref().is_some_and(is_it) {
                *attached = Some(Arc::clone(value) as Arc<dyn Any + Send + Sync>);
            }
        }
    }

    /// The value that is kept with the handle, unless it is in use just now.
    pub(crate) fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let attached = self.0.attached.place().try_lock().ok()?;
        let value = attached.as_ref()?;
        Arc::clone(value).downcast().ok()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.0.liveness
    }

    /// How many sessions may hold locks or wait for them.
    pub(crate) fn max_sessions(&self) -> Option<usize> {
        self.0.max_sessions
    }

    /// How long a session is kept that nobody uses.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.0.idle_timeout
    }

    /// Whether there is no server, and locks exclude within this process only.
    #[cfg(feature = "testing")]
    pub(crate) fn is_in_process(&self) -> bool {
        // What is read from elsewhere names a host, or is refused.
        self.config().get_hosts().is_empty() && self.config().get_hostaddrs().is_empty()
    }

    /// An error where there is no server to do this. `what` begins a sentence.
    #[cfg_attr(
        not(feature = "testing"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "all have one then"
        )
    )]
    pub(crate) fn expect_server(&self, what: &dyn fmt::Display) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if self.is_in_process() {
            return Err(Error::no_server(what));
        }
        #[cfg(not(feature = "testing"))]
        let _ = what;
        Ok(())
    }

    /// Database, hosts, ports and user for messages; never the password.
    pub(crate) fn place(&self) -> String {
        #[cfg(feature = "testing")]
        if self.is_in_process() {
            return "this process".to_owned();
        }
        let config = self.config();
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts = config.get_hosts().iter().map(|host| match host {
            // An IPv6 address, as a URL would have it.
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        // A host without a name has its address in the place of one.
        let addresses = config.get_hostaddrs().iter().map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let addresses = addresses.filter(|_| config.get_hosts().is_empty());
        let hosts: Vec<String> = hosts
            .chain(addresses)
            .enumerate()
            .map(|(at, host)| format!("{host}:{}", port(at)))
            .collect();
        let mut place = hosts.join(",");
        if let Some(name) = config.get_dbname() {
            place = format!("database {name:?} at {place}");
        }
        if let Some(user) = self.user() {
            place = format!("{place} as {user:?}");
        }
        place
    }
}

impl Database {
    /// Whether both connect to the same hosts, or to none. The server may have other names, of which nothing is known here.
    pub(crate) fn may_share_server(&self, other: &Self) -> bool {
        let [ours, theirs] = [self.config(), other.config()];
        ours.get_hosts() == theirs.get_hosts()
            && ours.get_hostaddrs() == theirs.get_hostaddrs()
            && ours.get_ports() == theirs.get_ports()
    }
}

impl PartialEq for Database {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "testing")]
        if self.is_in_process() && other.is_in_process() {
            // Locks of handles that differ in anything else exclude each other, as they do in a server.
            let [ours, theirs] = [self, other].map(|it| it.config().get_application_name());
            return ours == theirs;
        }
        let is_equal = || self.0.identity() == other.0.identity();
        Arc::ptr_eq(&self.0, &other.0) || is_equal() && self.credentials() == other.credentials()
    }
}

impl Eq for Database {}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.place()).finish()
    }
}
