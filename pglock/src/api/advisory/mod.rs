//! The builder of advisory locks.

mod connection;
mod own_session;
mod transaction;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::api::catalog::Site;
use crate::calls::call::CallRequest;
use crate::calls::on_connection::ConnectionRequest;
use crate::database::Using;
use crate::engine::DatabaseLock;
use crate::error::Error;
use crate::model::hold_limits::HoldLimits;
use crate::model::lock_id::{Key, LockId};
use crate::model::lock_request::{LockRequest, LockSpec};
use crate::model::options::{AdvisoryMode, OnBusy, Scope, Timeout};

pub use connection::{AdvisoryOn, AdvisoryOnAsync};

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
    mode: AdvisoryMode,
    scope: Scope,
    timeout: Option<Timeout>,
    limits: HoldLimits,
    using: Using,
    on_busy: OnBusy,
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
            mode: AdvisoryMode::Exclusive,
            scope: Scope::Session,
            timeout: None,
            limits: HoldLimits::default(),
            using: Using::DEFAULT,
            on_busy: OnBusy::Fail,
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
            on_busy: self.on_busy,
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
        self.mode = AdvisoryMode::Shared;
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

    /// For callers that go on without a busy lock: who holds it is looked up only for traces.
    pub(crate) fn skipping(mut self) -> Self {
        self.on_busy = OnBusy::Skip;
        self
    }

    fn request(self, default: Timeout) -> Result<LockRequest, Error> {
        if let Some(site) = self.site {
            site.refuse_duplicate()?;
        }
        Ok(LockRequest {
            wait: self.timeout.unwrap_or(default).try_into()?,
            limits: self.limits.checked(&self.id)?,
            on_busy: self.on_busy,
            lock: LockSpec {
                key: Key::checked(&self.id)?,
                id: self.id,
                label: self.label,
                mode: self.mode,
            },
        })
    }

    /// What is asked for on a session of pglock's own.
    pub(crate) fn for_own_session(self, default: Timeout) -> Result<CallRequest, Error> {
        let (scope, using) = (self.scope, self.using.clone());
        let request = self.request(default)?;
        if scope == Scope::Transaction {
            request
                .limits
                .refuse(&request.lock.id, "in a transaction")?;
        }
        let database = using.database()?;
        Ok(request.for_lock(|spec| DatabaseLock {
            spec,
            scope,
            database,
        }))
    }

    /// What is asked for on a connection of the caller's.
    pub(crate) fn for_connection(self, default: Timeout) -> Result<ConnectionRequest, Error> {
        let request = self.request(default)?;
        request
            .limits
            .refuse(&request.lock.id, "on a connection of yours")?;
        Ok(request.into())
    }
}
