//! Getting out of the way what keeps a part of the work waiting for locks.

mod scope;
mod side_effect;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::timeout::{AsyncTimeoutScope, Before, timeout};
use crate::background::block_on;
use crate::database::Using;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::{Error, Failure};
use crate::model::backend::Backend;
use crate::model::options::Timeout;
use crate::telemetry::TraceContext;
use crate::watcher::{self, PrioritizeSideEffect, SectionHandle, SectionOptions};
use crate::wire::ExtendedQuery;

pub(crate) use scope::end;

pub use scope::{AsyncPrioritizeScope, PrioritizeScope};
pub use side_effect::{Cancel, Escalate, Terminate};

/// How often a section is looked at, unless it says otherwise.
const INTERVAL: Duration = Duration::from_secs(1);

/// Gets what keeps a part of the work waiting out of the way: whoever blocks it is ended, until the scope ends.
///
/// A watcher looks at the connection from a session beside: the first time after the
/// [`interval`](Prioritize::interval), 1 s, and then again each time. Where it waits for a lock, of whatever kind, the
/// sessions that block it are [terminated](struct@Terminate), or dealt with as the
/// [side effect](Prioritize::side_effect) says. All prioritized sections of a process share one watcher for each
/// database, and its one connection.
///
/// Never hit are: the section itself, sessions of pglock's own and other prioritized sections in this process, vacuums
/// against wraparound, senders of the write-ahead log, and other processes of the server's without a client. Other
/// connections of your own process are hit like anybody's.
///
/// The connection is known to the watcher by its backend. A pooler in transaction mode changes that between
/// transactions: there, prioritize a transaction.
///
/// Stands on [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION).
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
///     .timeout(Duration::from_secs(10)) // gives up then, rather than keep others waiting behind it
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
    }
}

/// A part of the work to be prioritized: see [`prioritize`](fn@prioritize).
#[derive(Clone)]
#[must_use = "nothing is watched before `on` or `on_async`"]
pub struct Prioritize {
    interval: Duration,
    periodic: bool,
    timeout: Option<Timeout>,
    side_effect: Arc<dyn PrioritizeSideEffect>,
    using: Using,
}

impl Prioritize {
    /// How long to wait before the first look, and between two; 1 s unless it is said.
    ///
    /// Each look asks the server which of the sections wait, in one statement for all that are due.
    ///
    /// ```
    /// let section = pglock::prioritize().interval(std::time::Duration::from_millis(200));
    /// ```
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Whether there is more than one look; there is unless it is said.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // Who is in the way after five seconds is, once.
    /// let once = pglock::prioritize().interval(Duration::from_secs(5)).periodic(false);
    /// ```
    pub fn periodic(mut self, periodic: bool) -> Self {
        self.periodic = periodic;
        self
    }

    /// How long each statement waits for locks, as [`timeout`](fn@timeout): no shorter than the interval.
    ///
    /// Without it, `lock_timeout` is left as it is.
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
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// What is done to the sessions in the way: [`Terminate`](struct@Terminate), which is the default,
    /// [`Cancel`](struct@Cancel), [`Escalate`](struct@Escalate), or one of your own.
    ///
    /// ```
    /// let section = pglock::prioritize().side_effect(pglock::Cancel);
    /// ```
    pub fn side_effect(mut self, side_effect: impl PrioritizeSideEffect) -> Self {
        self.side_effect = Arc::new(side_effect);
        self
    }

    /// Where the watcher connects: to the database that the connection goes to. The default database unless it is said.
    ///
    /// It may be with another role than the connection's: one that may [terminate](struct@Terminate) others.
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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a timeout below the interval, for an interval of zero, when
    /// there is no such database, and in an aborted transaction; [`Connect`](crate::ErrorKind::Connect) or
    /// [`Database`](crate::ErrorKind::Database) when the server says so. A watcher that can't connect, or that is in
    /// another database than the connection, is one of these.
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
        let (section, before) = self.begin(connection)?;
        Ok(PrioritizeScope::new(connection, section, before))
    }

    pub(crate) fn begin<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<(SectionHandle, Option<Before>), Error> {
        self.check()?;
        let backend = block_on(who(&mut BlockingWire(connection)))?;
        let section = block_on(SectionHandle::begin(self.watch(backend)?))?;
        let before = match self.timeout {
            Some(limit) => Some(timeout(limit).begin(connection)?),
            None => None,
        };
        Ok((section, before))
    }

    /// Like [`on`](Prioritize::on), for an async connection.
    ///
    /// # Errors
    ///
    /// As [`on`](Prioritize::on).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, nothing is watched any more, and `lock_timeout` is what it was before the connection's
    /// next statement, as with [`timeout`](crate::LockTimeout::on_async). Beginning again is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let section = pglock::prioritize().on_async(&mut client).await?;
    /// section.batch_execute("SELECT 1").await?;
    /// section.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn on_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<AsyncPrioritizeScope<'_, C>, Error> {
        self.check()?;
        let backend = who(&mut AsyncWire(&mut *connection)).await?;
        let section = SectionHandle::begin(self.watch(backend)?).await?;
        let connection = match self.timeout {
            Some(limit) => timeout(limit).on_async(connection).await?,
            None => AsyncTimeoutScope::unchanged(connection),
        };
        Ok(AsyncPrioritizeScope::new(connection, section))
    }

    fn check(&self) -> Result<(), Error> {
        if self.interval.is_zero() {
            return Err(Error::config(
                "an interval of zero would look without end; use 1 ms or more",
            ));
        }
        match self.timeout.and_then(Timeout::duration) {
            Some(timeout) if timeout < self.interval => Err(Error::config(format!(
                "the timeout of {timeout:?} is below the interval of {:?}, so the wait would end before the first look; shorten the interval",
                self.interval
            ))),
            _ => Ok(()),
        }
    }

    fn watch(&self, backend: Backend) -> Result<SectionOptions, Error> {
        Ok(SectionOptions {
            database: self.using.database().map_err(Error::no_watcher)?,
            backend,
            interval: self.interval,
            periodic: self.periodic,
            side_effect: Arc::clone(&self.side_effect),
            context: TraceContext::here(),
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

/// Asks a connection which session it is.
async fn who(wire: &mut impl ExtendedQuery) -> Result<Backend, Error> {
    let rows = wire
        .query(&watcher::own_backend(), &[])
        .await
        .map_err(Error::not_prioritized)?;
    rows.first_row()
        .as_ref()
        .and_then(crate::sql::backend::read)
        .ok_or_else(|| Error::not_prioritized(Failure::unexpected_answer()))
}
