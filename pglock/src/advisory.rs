//! The builder of advisory locks.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use crate::Error;
use crate::call::Wanted;
use crate::connection::{self, Asked};
use crate::database::Using;
use crate::drivers::{AsyncConnection, AsyncInTransaction, Connection, InTransaction};
use crate::guard::{AsyncConnectionGuard, ConnectionGuard, Guard};
use crate::hold::Lock;
use crate::hold_limits::HoldLimits;
use crate::key::{Key, LockId};
use crate::options::{Mode, Scope, Timeout, Wait};
use crate::park::block_on;
use crate::site::Site;

/// An advisory lock, to be asked for: by name, by integer, or by a pair of integers.
///
/// Exclusive, for this session, and waited for without end, unless told otherwise. Nothing happens before one of
/// the verbs:
///
/// | | pglock's own session | a connection of yours | a transaction of yours |
/// | --- | --- | --- | --- |
/// | wait | [`acquire`](Advisory::acquire), [`run`](Advisory::run) | [`on`](Advisory::on)`(..).acquire()` | [`acquire_xact`](Advisory::acquire_xact) |
/// | try | [`try_acquire`](Advisory::try_acquire), [`try_run`](Advisory::try_run) | `on(..).try_acquire()` | [`try_acquire_xact`](Advisory::try_acquire_xact) |
///
/// Each has an async twin that ends in `_async`; after [`on_async`](Advisory::on_async) the plain verbs are async.
///
/// The attribute of the same name is [`macro@advisory`](macro@crate::advisory). Stands on Postgres'
/// [advisory locks](https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// use std::time::Duration;
///
/// let guard = pglock::advisory("invoices").timeout(Duration::from_secs(2)).acquire()?;
/// assert!(pglock::advisory("invoices").try_acquire()?.is_none()); // busy
/// guard.release()?;
/// # Ok(())
/// # }
/// ```
pub fn advisory(id: impl Into<LockId>) -> Advisory {
    Advisory::new(id.into(), None)
}

/// A lock that is released by its guard or by the end of its session: see [`Advisory`].
#[derive(Clone, Copy, Debug)]
pub enum SessionScope {}

/// A lock in a transaction that pglock opens for it: see [`Advisory::xact`].
#[derive(Clone, Copy, Debug)]
pub enum TransactionScope {}

/// An advisory lock to be asked for: see [`fn@advisory`].
#[derive(Clone)]
#[must_use = "nothing is locked before `acquire`, `run`, or one of their like"]
pub struct Advisory<S = SessionScope> {
    id: LockId,
    /// The function whose default ID this is.
    site: Option<&'static Site>,
    /// What it is called in metrics.
    label: Option<&'static str>,
    mode: Mode,
    scope: Scope,
    timeout: Option<Timeout>,
    limits: HoldLimits,
    using: Using,
    skips: bool,
    marker: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Advisory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advisory")
            .field("id", &self.id)
            .field("mode", &self.mode)
            .field("scope", &self.scope)
            .field("timeout", &self.timeout)
            .field("limits", &self.limits)
            .field("using", &self.using)
            .finish_non_exhaustive()
    }
}

impl Advisory {
    pub(crate) fn new(id: LockId, site: Option<&'static Site>) -> Self {
        Self {
            id,
            site,
            label: site.map(Site::id),
            mode: Mode::Exclusive,
            scope: Scope::Session,
            timeout: None,
            limits: HoldLimits::default(),
            using: Using::DEFAULT,
            skips: false,
            marker: PhantomData,
        }
    }

    /// Holds the lock in a transaction that is kept open on a session of pglock's own, instead of in the session.
    ///
    /// Works behind a pooler in transaction mode, where a session lock can't. The open transaction holds back vacuum
    /// for as long. For a transaction of yours, use [`acquire_xact`](Advisory::acquire_xact).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("ledger").xact().acquire()?;
    /// guard.release()?; // ends the transaction
    /// # Ok(())
    /// # }
    /// ```
    pub fn xact(self) -> Advisory<TransactionScope> {
        Advisory {
            id: self.id,
            site: self.site,
            label: self.label,
            mode: self.mode,
            scope: Scope::Transaction,
            timeout: self.timeout,
            limits: self.limits,
            using: self.using,
            skips: self.skips,
            marker: PhantomData,
        }
    }

    /// Keeps the lock for at least that long from when it was had, however soon the work is done: for short jobs on
    /// many hosts, so that one whose clock is late doesn't find the lock free again and run the job a second time.
    ///
    /// The caller goes on at once: what ends the call or releases the guard returns as without it, when the server has
    /// said that the lock was held until then, and pglock releases it later. This is so for a body that failed, panicked
    /// or was dropped too. Until then all others, those in this process too, find the lock busy, and it keeps its
    /// session. If that is lost meanwhile, the lock is free early, and nobody is told.
    ///
    /// The end of the process frees such locks early, and [`drain`](crate::drain()) waits for them. A call that re-enters
    /// a lock leaves it to the call that has it: there the outer call's limits count. Not on connections of yours, nor
    /// with [`xact`](Advisory::xact) ([`ErrorKind::Config`](crate::ErrorKind::Config)), as are zero and more than 24 days.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("invoices").hold_at_least(Duration::from_secs(30));
    /// lock.clone().run(|| Ok::<_, pglock::Error>(()))?;
    /// assert!(lock.try_run(|| Ok::<_, pglock::Error>(()))?.is_none()); // still busy
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_at_least(mut self, limit: Duration) -> Self {
        self.limits.at_least = Some(limit);
        self
    }

    /// Stops an async body that has had the lock for that long, so that one that hangs doesn't keep all others out.
    ///
    /// The body is dropped at its next await, then the lock is released, and then the call returns
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost), which says so. A body that doesn't await is not stopped, and keeps the
    /// lock; [`check`](crate::check) tells it. A statement that it had sent may run on in the server, as after a loss.
    ///
    /// Only [`run_async`](Advisory::run_async) and [`try_run_async`](Advisory::try_run_async) can: the verbs with a
    /// blocking body and those that return a guard are refused as [`ErrorKind::Config`](crate::ErrorKind::Config), since
    /// a second run would overlap the first. So are connections of yours, [`xact`](Advisory::xact), zero, more than 24
    /// days, and less than [`hold_at_least`](Advisory::hold_at_least). A process that dies needs no such limit: its locks
    /// end with it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("invoices").hold_at_most(Duration::from_millis(50));
    /// let hangs = std::future::pending::<Result<(), pglock::Error>>();
    /// let stopped = lock.run_async(hangs).await.unwrap_err();
    /// assert!(stopped.is_lost() && !stopped.body_finished());
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_at_most(mut self, limit: Duration) -> Self {
        self.limits.at_most = Some(limit);
        self
    }

    /// Takes the lock on a connection of yours, outside a transaction; the guard lends the connection.
    ///
    /// Where the connection has a transaction open all the same, begun by hand, the acquire is refused as
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) and nothing is held.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut locked = pglock::advisory((1, 2)).on(&mut client).acquire()?;
    /// locked.simple_query("SELECT 1")?;
    /// locked.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<C: Connection + ?Sized>(self, connection: &mut C) -> AdvisoryOn<'_, C> {
        AdvisoryOn {
            advisory: self,
            connection,
        }
    }

    /// Like [`on`](Advisory::on), for an async connection.
    ///
    /// It is taken as `&mut`: tasks that share a session can't exclude each other with its locks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let locked = pglock::advisory("ledger").on_async(&mut client).acquire().await?;
    /// locked.simple_query("SELECT 1").await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_async<C: AsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> AdvisoryOnAsync<'_, C> {
        AdvisoryOnAsync {
            advisory: self,
            connection,
        }
    }

    /// Takes the lock in a transaction of yours, which releases it when it ends, and not before.
    ///
    /// The transaction can go on after an error, and its `lock_timeout` is as before. Under `REPEATABLE READ` its
    /// snapshot may be older than the lock: what the holder before has written can be out of sight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout; [`Deadlock`](crate::ErrorKind::Deadlock),
    /// [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) when the server says so;
    /// [`Config`](crate::ErrorKind::Config) for options that can't work.
    ///
    /// Stands on [`pg_advisory_xact_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut tx = client.transaction()?;
    /// pglock::advisory("ledger").acquire_xact(&mut tx)?;
    /// tx.commit()?; // released
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_xact<T: InTransaction + ?Sized>(self, transaction: &mut T) -> Result<(), Error> {
        self.asked(Timeout::FOREVER)?.acquire_xact(transaction)
    }

    /// Like [`acquire_xact`](Advisory::acquire_xact), but tries once, or up to the timeout; `false` when it is busy, and
    /// the transaction can go on. After an error of a try without a timeout it can't.
    ///
    /// # Errors
    ///
    /// As [`acquire_xact`](Advisory::acquire_xact), but for `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut tx = client.transaction()?;
    /// if pglock::advisory("ledger").try_acquire_xact(&mut tx)? {
    ///     tx.commit()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_xact<T: InTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        had(self
            .skipping()
            .asked(Timeout::ZERO)?
            .acquire_xact(transaction))
        .map(|had| had.is_some())
    }

    /// Like [`acquire_xact`](Advisory::acquire_xact).
    ///
    /// # Errors
    ///
    /// As [`acquire_xact`](Advisory::acquire_xact).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the wait is canceled in the server and the transaction can go on, up to 0.8 s later;
    /// trying again is safe. If the lock was granted in that moment, the transaction keeps it to its end. On sqlx nothing
    /// is canceled: see [`AsyncConnection`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let mut tx = client.transaction().await?;
    /// pglock::advisory("ledger").acquire_xact_async(&mut tx).await?;
    /// tx.commit().await?; // released
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<(), Error> {
        self.asked(Timeout::FOREVER)?
            .acquire_xact_async(transaction)
            .await
    }

    /// Like [`try_acquire_xact`](Advisory::try_acquire_xact).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_xact`](Advisory::try_acquire_xact).
    ///
    /// # Cancel safety
    ///
    /// With a timeout, as [`acquire_xact_async`](Advisory::acquire_xact_async). Without one nothing waits: dropped after
    /// its first poll, the transaction may have the lock, to its end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let mut tx = client.transaction().await?;
    /// assert!(pglock::advisory("ledger").try_acquire_xact_async(&mut tx).await?);
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire_xact_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        let asked = self.skipping().asked(Timeout::ZERO)?;
        had(asked.acquire_xact_async(transaction).await).map(|had| had.is_some())
    }
}

impl<S> Advisory<S> {
    /// Lets others that ask for it as shared hold it at the same time.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let one = pglock::advisory("report").shared().acquire()?;
    /// let two = pglock::advisory("report").shared().acquire()?;
    /// assert!(pglock::advisory("report").try_acquire()?.is_none()); // exclusive
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared(mut self) -> Self {
        self.mode = Mode::Shared;
        self
    }

    /// Bounds the wait for the lock; connecting and the body have no part in it. See [`Timeout`].
    ///
    /// Without it `acquire` and `run` wait for ever, and their `try_` twins don't wait.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let guard = pglock::advisory("invoices").acquire()?;
    /// let busy = pglock::advisory("invoices").timeout(Duration::from_millis(50)).acquire();
    /// assert!(busy.unwrap_err().is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Takes the lock in another database than the default: by its registered name, or by its handle.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let reports = pglock::Database::builder(database.url()).build()?;
    /// pglock::advisory("nightly").using(&reports).acquire()?.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn using(mut self, using: impl Into<Using>) -> Self {
        self.using = using.into();
        self
    }

    /// Names the lock in metrics and traces, where its ID is one of many: a name for all customers' invoices, say.
    ///
    /// A `&'static str`, so that there are only as many as the program has. The attribute sets it to the lock's ID as it is
    /// written, with its placeholders, or to the function's path. Without a label, metrics say `unlabeled`.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let customer = 7;
    /// let lock = pglock::advisory(format!("invoices-{customer}")).label("invoices");
    /// lock.run(|| Ok::<_, pglock::Error>(()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn label(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// Leaves out the look-up of who holds a busy lock, for callers that don't ask.
    pub(crate) fn skipping(mut self) -> Self {
        self.skips = true;
        self
    }

    fn checked(&self, default: Timeout) -> Result<(Key, Wait), Error> {
        if let Some(site) = self.site {
            site.refuse_duplicate()?;
        }
        Ok((
            Key::checked(&self.id)?,
            self.timeout.unwrap_or(default).try_into()?,
        ))
    }

    /// What to ask of the engine.
    pub(crate) fn wanted(self, default: Timeout) -> Result<Wanted, Error> {
        let (key, wait) = self.checked(default)?;
        let limits = self.limits.checked(&self.id)?;
        if self.scope == Scope::Transaction {
            limits.refuse(&self.id, "in a transaction")?;
        }
        let database = self.using.database()?;
        let lock = Lock {
            id: self.id,
            label: self.label,
            key,
            mode: self.mode,
            scope: self.scope,
            database,
        };
        Ok(Wanted {
            lock,
            wait,
            limits,
            skips: self.skips,
        })
    }

    /// What to ask on a connection of the caller's.
    pub(crate) fn asked(self, default: Timeout) -> Result<Asked, Error> {
        let (key, wait) = self.checked(default)?;
        self.limits.refuse(&self.id, "on a connection of yours")?;
        Ok(Asked {
            id: self.id,
            label: self.label,
            key,
            mode: self.mode,
            wait,
            skips: self.skips,
            process: std::process::id(),
            note: connection::new_note(),
        })
    }

    /// Takes the lock on a session of pglock's own, waiting for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout, with its [holder](Error::holder);
    /// [`Connect`](crate::ErrorKind::Connect) when there is no session, at once; [`Deadlock`](crate::ErrorKind::Deadlock)
    /// or [`Database`](crate::ErrorKind::Database) when the server says so; [`Environment`](crate::ErrorKind::Environment)
    /// when pglock's thread can't run; [`Config`](crate::ErrorKind::Config) for options that can't work, and for a wait
    /// without end on a lock that this thread holds by a guard.
    ///
    /// Stands on [`pg_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire()?;
    /// guard.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(self) -> Result<Guard, Error> {
        block_on(self.wanted(Timeout::FOREVER)?.guard(true)).map(Guard::of_this_thread)
    }

    /// Tries for the lock once, or up to the timeout; `None` when it is busy.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire), but for `Busy`.
    ///
    /// Stands on [`pg_try_advisory_lock`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// if let Some(guard) = pglock::advisory(42).try_acquire()? {
    ///     guard.release()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire(self) -> Result<Option<Guard>, Error> {
        let wanted = self.skipping().wanted(Timeout::ZERO)?;
        Ok(had(block_on(wanted.guard(true)))?.map(Guard::of_this_thread))
    }

    /// Like [`acquire`](Advisory::acquire).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, it is taken back in the background: the wait is canceled in the server, and what was
    /// granted in that moment is released. Trying again is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let guard = pglock::advisory("invoices").acquire_async().await?;
    /// guard.release_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire_async(self) -> Result<Guard, Error> {
        self.wanted(Timeout::FOREVER)?
            .guard(false)
            .await
            .map(Guard::new)
    }

    /// Like [`try_acquire`](Advisory::try_acquire).
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Advisory::try_acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_async`](Advisory::acquire_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// assert!(pglock::advisory("invoices").try_acquire_async().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire_async(self) -> Result<Option<Guard>, Error> {
        let wanted = self.skipping().wanted(Timeout::ZERO)?;
        Ok(had(wanted.guard(false).await)?.map(Guard::new))
    }

    /// Runs `body` under the lock, as the attribute does.
    ///
    /// A call inside that asks for the same lock re-enters. The lock is released when the body returns or panics.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Advisory::acquire); the body's `Err`; and [`ErrorKind::Lost`](crate::ErrorKind::Lost) when the
    /// body said `Ok` and the lock had been lost by then ([`body_finished`](Error::body_finished) is true).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let total = pglock::advisory("invoices").run(|| Ok::<_, pglock::Error>(42))?;
    /// assert_eq!(total, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T, E: From<Error>>(self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = self.wanted(Timeout::FOREVER)?.enter()?;
        call.run(body, Result::is_err)?
    }

    /// Runs `body` under the lock, or returns `None` when it is busy, at once or after the timeout.
    ///
    /// # Errors
    ///
    /// As [`run`](Advisory::run), but for `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let ran = pglock::advisory("invoices").try_run(|| Ok::<_, pglock::Error>(42))?;
    /// assert_eq!(ran, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_run<T, E: From<Error>>(
        self,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        match had(self.skipping().wanted(Timeout::ZERO)?.enter())? {
            Some(call) => call.run(body, Result::is_err)?.map(Some),
            None => Ok(None),
        }
    }

    /// Like [`run`](Advisory::run), for an async body, which is dropped at its next await when the lock is lost.
    ///
    /// A statement that the body had sent on a connection of its own may run on in the server while the next holder
    /// begins; a body that works on the connection that holds the lock ([`on_async`](Advisory::on_async), or
    /// `client =` in the attribute) can't outrun it.
    ///
    /// # Errors
    ///
    /// As [`run`](Advisory::run); when the body was dropped, [`body_finished`](Error::body_finished) is false.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, as [`acquire_async`](Advisory::acquire_async). Dropped later, the body is dropped, and then
    /// the lock is released in the background, unless a call around has it too; with
    /// [`hold_at_least`](Advisory::hold_at_least) when that is over. Calling it again runs the body anew.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let total = pglock::advisory("invoices").run_async(async { Ok::<_, pglock::Error>(42) }).await?;
    /// assert_eq!(total, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_async<T, E: From<Error>>(
        self,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = self.wanted(Timeout::FOREVER)?.enter_async().await?;
        call.run_async(body, Result::is_err).await?
    }

    /// Like [`try_run`](Advisory::try_run), for an async body.
    ///
    /// # Errors
    ///
    /// As [`run_async`](Advisory::run_async), but for `Busy`.
    ///
    /// # Cancel safety
    ///
    /// As [`run_async`](Advisory::run_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let ran = pglock::advisory("invoices").try_run_async(async { Ok::<_, pglock::Error>(42) }).await?;
    /// assert_eq!(ran, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_run_async<T, E: From<Error>>(
        self,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        match had(self.skipping().wanted(Timeout::ZERO)?.enter_async().await)? {
            Some(call) => call.run_async(body, Result::is_err).await?.map(Some),
            None => Ok(None),
        }
    }
}

/// Busy is no error for who only tries.
fn had<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_busy() => Ok(None),
        Err(error) => Err(error),
    }
}

/// An advisory lock to be asked for on a connection of yours: see [`Advisory::on`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOn<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: Connection + ?Sized> AdvisoryOn<'c, C> {
    /// Takes the lock, waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Advisory::acquire`]; [`ErrorKind::Config`](crate::ErrorKind::Config) in a transaction begun by hand.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let locked = pglock::advisory("ledger").on(&mut client).acquire()?;
    /// locked.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(self) -> Result<ConnectionGuard<'c, C>, Error> {
        ConnectionGuard::acquire(self.connection, self.advisory.asked(Timeout::FOREVER)?)
    }

    /// Tries for the lock once, or up to the timeout; `None` when it is busy.
    ///
    /// # Errors
    ///
    /// As [`acquire`](AdvisoryOn::acquire), but for `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// assert!(pglock::advisory("ledger").on(&mut client).try_acquire()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire(self) -> Result<Option<ConnectionGuard<'c, C>>, Error> {
        let asked = self.advisory.skipping().asked(Timeout::ZERO)?;
        had(ConnectionGuard::acquire(self.connection, asked))
    }
}

/// An advisory lock to be asked for on an async connection of yours: see [`Advisory::on_async`].
#[derive(Debug)]
#[must_use = "nothing is locked before `acquire`"]
pub struct AdvisoryOnAsync<'c, C: ?Sized> {
    advisory: Advisory,
    connection: &'c mut C,
}

impl<'c, C: AsyncConnection + ?Sized> AdvisoryOnAsync<'c, C> {
    /// Like [`AdvisoryOn::acquire`].
    ///
    /// # Errors
    ///
    /// As [`AdvisoryOn::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the wait is canceled in the server, and what was granted in that moment is released,
    /// before the connection's next statement, which is up to 0.8 s later. Trying again is safe. On sqlx, and where the
    /// driver insists on TLS and pglock is built without the feature `rustls`, nothing is canceled: the wait ends when it
    /// is granted, and is released then, or with its timeout. See [`AsyncConnection`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// let locked = pglock::advisory("ledger").on_async(&mut client).acquire().await?;
    /// locked.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire(self) -> Result<AsyncConnectionGuard<'c, C>, Error> {
        AsyncConnectionGuard::acquire(self.connection, self.advisory.asked(Timeout::FOREVER)?).await
    }

    /// Like [`AdvisoryOn::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`AdvisoryOn::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](AdvisoryOnAsync::acquire); without a timeout nothing waits, and nothing is later for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// assert!(pglock::advisory("ledger").on_async(&mut client).try_acquire().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire(self) -> Result<Option<AsyncConnectionGuard<'c, C>>, Error> {
        let asked = self.advisory.skipping().asked(Timeout::ZERO)?;
        had(AsyncConnectionGuard::acquire(self.connection, asked).await)
    }
}
