//! The builder of prioritized sections: terminates the sessions that block a connection.

mod scope;
mod side_effect;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::timeout::{AsyncTimeoutScope, PreviousTimeout, timeout};
use crate::background::block_on;
use crate::database::Using;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::{Error, Failure, humanize};
use crate::model::backend::Backend;
use crate::model::options::{IntoTimeout, Timeout};
use crate::sql;
use crate::telemetry::TraceContext;
use crate::watcher::{PrioritizeSideEffect, SectionHandle, SectionOptions};
use crate::wire::ExtendedQuery;

pub(crate) use scope::end;

pub use scope::{AsyncPrioritizeScope, PrioritizeScope};
pub use side_effect::{Cancel, Escalate, Terminate};

/// The default poll interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Terminates the sessions that block a connection, until the scope ends.
///
/// A watcher polls the connection from another session: first after the [`interval`](Prioritize::interval), 1 s by
/// default, and then once per interval. While the connection waits for a lock, of whatever kind, the sessions that
/// block it are [terminated](struct@Terminate), or treated as the [side effect](Prioritize::side_effect) says. All
/// prioritized sections of a process share one watcher per database, with one connection.
///
/// These are never signaled: the section itself, pglock's own sessions and other prioritized sections of this process,
/// vacuums to prevent wraparound, WAL senders, and server processes without a client. Other connections of your own
/// process are signaled like everybody else's.
///
/// The watcher identifies the connection by its backend. A pooler in transaction mode changes the backend between
/// transactions: there, prioritize a transaction.
///
/// See also [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// use std::time::Duration;
///
/// let mut section = pglock::prioritize()
///     .interval(Duration::from_millis(500))
///     .timeout(Duration::from_secs(10)) // then it gives up, since others queue behind it
///     .on(&mut client)?;
/// section.batch_execute("ALTER TABLE orders ADD total numeric")?;
/// let report = section.finish()?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
pub fn prioritize() -> Prioritize {
    Prioritize {
        interval: INTERVAL,
        periodic: true,
        timeout: None,
        side_effect: Arc::new(Terminate::new()),
        using: Using::DEFAULT,
        only_looks: false,
    }
}

/// A section of work to prioritize: see [`prioritize`](fn@prioritize).
#[derive(Clone)]
#[must_use = "nothing is watched before `on` or `on_async`"]
pub struct Prioritize {
    interval: Duration,
    periodic: bool,
    timeout: Option<Timeout>,
    side_effect: Arc<dyn PrioritizeSideEffect>,
    using: Using,
    only_looks: bool,
}

impl Prioritize {
    /// How long to wait before the first poll and between polls; 1 s by default.
    ///
    /// Each poll asks the server which sections wait, in one statement for all that are due.
    ///
    /// ```
    /// let section = pglock::prioritize().interval(std::time::Duration::from_millis(200));
    /// ```
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Whether to poll more than once; true by default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // Terminates the sessions that block after five seconds, once.
    /// let once = pglock::prioritize().interval(Duration::from_secs(5)).periodic(false);
    /// ```
    pub fn periodic(mut self, periodic: bool) -> Self {
        self.periodic = periodic;
        self
    }

    /// Limits how long each statement waits for locks, as [`timeout`](fn@timeout) does; not shorter than the interval, and
    /// with [`Escalate`](struct@Escalate) than interval and grace period together.
    ///
    /// Without it, `lock_timeout` is not changed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// use std::time::Duration;
    ///
    /// let short = pglock::prioritize().timeout(Duration::from_millis(10)); // below the interval
    /// assert!(short.on(&mut client).unwrap_err().is_config());
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.timeout = Some(timeout.into_timeout());
        self
    }

    /// What to do to the blocking sessions: [`Terminate`](struct@Terminate), which is the default,
    /// [`Cancel`](struct@Cancel), [`Escalate`](struct@Escalate), or a side effect of your own.
    ///
    /// ```
    /// let section = pglock::prioritize().side_effect(pglock::Cancel);
    /// ```
    pub fn side_effect(mut self, side_effect: impl PrioritizeSideEffect) -> Self {
        self.side_effect = Arc::new(side_effect);
        self
    }

    /// Where the watcher connects: to the database that the connection belongs to. The default database if not set.
    ///
    /// The role can differ from the connection's: it can be one that is allowed to [terminate](struct@Terminate)
    /// others.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let admin = pglock::Database::builder("postgres://admin@db/app").build()?;
    /// let section = pglock::prioritize().using(&admin);
    /// # Ok(())
    /// # }
    /// ```
    pub fn using(mut self, database: impl Into<Using>) -> Self {
        self.using = database.into();
        self
    }

    /// Watches a connection, in a transaction or outside, until the scope ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a timeout below the interval, or with
    /// [`Escalate`](struct@Escalate) below interval and grace period, an interval of zero, an unknown database, a watcher that is connected to another database than the connection, and in an aborted
    /// transaction; [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) as the server
    /// reports them, also when the watcher cannot connect.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// let mut section = pglock::prioritize().on(&mut tx)?;
    /// pglock::table("orders").lock(&mut section)?;
    /// section.finish()?;
    /// tx.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<PrioritizeScope<'_, C>, Error> {
        let (section, previous) = self.begin(connection)?;
        Ok(PrioritizeScope::new(connection, section, previous))
    }

    pub(crate) fn begin<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<(SectionHandle, Option<PreviousTimeout>), Error> {
        let limit = self.timeout;
        let section = block_on(self.watch(&mut BlockingWire(connection)))?;
        let previous = match limit {
            Some(limit) => Some(timeout(limit).begin(connection)?),
            None => None,
        };
        Ok((section, previous))
    }

    /// Like [`on`](Prioritize::on), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: nothing is watched any more, and `lock_timeout` has its
    /// previous value before the connection's next statement, as with [`timeout`](crate::LockTimeout::on_async).
    pub async fn on_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<AsyncPrioritizeScope<'_, C>, Error> {
        let limit = self.timeout;
        let section = self.watch(&mut AsyncWire(&mut *connection)).await?;
        let connection = match limit {
            Some(limit) => timeout(limit).on_async(connection).await?,
            None => AsyncTimeoutScope::unchanged(connection),
        };
        Ok(AsyncPrioritizeScope::new(connection, section))
    }

    /// Only reports who blocks the connection: no session is signaled, and there are no events.
    pub(crate) fn only_looks(mut self) -> Self {
        self.side_effect = Arc::new(Terminate::new().dry_run(true));
        self.only_looks = true;
        self
    }

    /// Watches a connection, without a change to its `lock_timeout`.
    pub(crate) async fn watch(self, wire: &mut impl ExtendedQuery) -> Result<SectionHandle, Error> {
        self.check()?;
        let backend = backend_of(wire).await?;
        SectionHandle::begin(self.section(backend)?).await
    }

    fn check(&self) -> Result<(), Error> {
        if self.interval.is_zero() {
            return Err(Error::config(
                "an interval of zero would poll without a pause; use 1 ms or more",
            ));
        }
        let Some(timeout) = self.timeout.and_then(Timeout::duration) else {
            return Ok(());
        };
        let policy = self.side_effect.signal_policy();
        let grace = policy.and_then(|policy| policy.escalation.grace());
        if timeout >= self.interval.saturating_add(grace.unwrap_or_default()) {
            return Ok(());
        }
        let (timeout, interval) = (
            humanize::duration(timeout),
            humanize::duration(self.interval),
        );
        Err(Error::config(match grace.map(humanize::duration) {
            None => format!(
                "the timeout of {timeout} is below the interval of {interval}, so the wait would end before the first poll; raise the timeout, or shorten the interval"
            ),
            Some(grace) => format!(
                "the timeout of {timeout} is below the interval of {interval} and the grace period of {grace} together, so the wait would end before `Escalate` terminates a session that it has canceled; raise the timeout, or shorten the grace period with `after`"
            ),
        }))
    }

    fn section(&self, backend: Backend) -> Result<SectionOptions, Error> {
        let database = self.using.database().map_err(Error::no_watcher)?;
        database.expect_server(if self.only_looks {
            &"a look at who has the lock"
        } else {
            &"the watcher of `prioritize`"
        })?;
        Ok(SectionOptions {
            database,
            backend,
            interval: self.interval,
            periodic: self.periodic,
            side_effect: Arc::clone(&self.side_effect),
            context: if self.only_looks {
                TraceContext::nowhere()
            } else {
                TraceContext::here()
            },
        })
    }
}

impl fmt::Debug for Prioritize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prioritize")
            .field("interval", &self.interval)
            .field("periodic", &self.periodic)
            .field("timeout", &self.timeout)
            .field("using", &self.using)
            .finish_non_exhaustive()
    }
}

/// Asks a connection for its backend.
async fn backend_of(wire: &mut impl ExtendedQuery) -> Result<Backend, Error> {
    let rows = wire
        .query(&sql::backend::own_backend(), &[])
        .await
        .map_err(Error::not_prioritized)?;
    rows.first_row()
        .as_ref()
        .and_then(sql::backend::read)
        .ok_or_else(|| Error::not_prioritized(Failure::unexpected_answer()))
}
