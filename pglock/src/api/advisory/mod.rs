//! The builder of advisory locks.

mod connection;
mod hold;
mod own_session;
mod rules;
mod scopes;
mod transaction;

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::api::catalog::annotated::AnnotatedFn;
use crate::calls::call::CallRequest;
use crate::calls::on_connection::ConnectionRequest;
use crate::database::Using;
use crate::engine::{DatabaseLock, GrantRules, Purpose};
use crate::error::Error;
use crate::model::hold_limits::HoldLimits;
use crate::model::lock_id::{IntoLockId, LockId};
use crate::model::lock_request::{LockRequest, LockSpec};
use crate::model::options::{AdvisoryMode, IntoTimeout, OnBusy, Scope, Timeout, WaitPolicy};
use crate::model::permits::Permits;

pub use connection::{AdvisoryOn, AdvisoryOnAsync};
pub use rules::schema;
pub use scopes::{
    AllScope, OnOwnSession, OneLock, PermitScope, SessionScope, Shareable, TransactionScope,
};

/// An advisory lock, named by a text, an integer, or a pair of integers.
///
/// By default it is exclusive, belongs to a session, and is waited for without a timeout. Nothing happens until one of
/// these methods is called:
///
/// | | pglock's own session | a connection of yours | a transaction of yours |
/// | --- | --- | --- | --- |
/// | wait | [`acquire`](Advisory::acquire), [`run`](Advisory::run) | [`on`](Advisory::on)`(..).acquire()` | [`acquire_xact`](Advisory::acquire_xact) |
/// | try | [`try_acquire`](Advisory::try_acquire), [`try_run`](Advisory::try_run) | `on(..).try_acquire()` | [`try_acquire_xact`](Advisory::try_acquire_xact) |
///
/// Each has an async twin that ends in `_async`; after [`on_async`](Advisory::on_async) the plain methods are async.
///
/// The attribute of the same name is [`macro@advisory`](macro@crate::advisory). See also Postgres' [advisory
/// locks](https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
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
pub fn advisory(id: impl IntoLockId) -> Advisory {
    Advisory::new(id.into_lock_id(), None)
}

/// What a lock can be `once_in`.
const PERIODS: RangeInclusive<Duration> =
    Duration::from_nanos(1)..=Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// What is asked for instead of one lock.
#[derive(Clone, Debug)]
enum Form {
    /// One lock, and more is done before it is had.
    Ruled(GrantRules),
    /// One of so many permits.
    Permits(u32),
    /// All locks with these IDs.
    All(Vec<LockId>),
}

/// An advisory lock to acquire: see [`fn@advisory`].
#[derive(Clone)]
#[must_use = "nothing is locked until `acquire`, `run` or another such method is called"]
pub struct Advisory<S = SessionScope> {
    id: LockId,
    /// The function whose path is the ID, for a default ID.
    function: Option<&'static AnnotatedFn>,
    /// The lock's name in metrics and traces.
    label: Option<&'static str>,
    mode: AdvisoryMode,
    scope: Scope,
    dedicated: bool,
    reentrant: bool,
    timeout: Option<Timeout>,
    limits: HoldLimits,
    using: Using,
    on_busy: OnBusy,
    /// `None` for one lock.
    form: Option<Box<Form>>,
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
    pub(crate) fn new(id: LockId, function: Option<&'static AnnotatedFn>) -> Self {
        Self {
            id,
            function,
            label: function.map(AnnotatedFn::path),
            mode: AdvisoryMode::Exclusive,
            scope: Scope::Session,
            dedicated: false,
            reentrant: true,
            timeout: None,
            limits: HoldLimits::default(),
            using: Using::DEFAULT,
            on_busy: OnBusy::Fail,
            form: None,
            marker: PhantomData,
        }
    }

    /// One of so many permits, instead of the lock alone.
    pub(crate) fn with_permits(self, permits: u32) -> Advisory<PermitScope> {
        Advisory {
            form: Some(Box::new(Form::Permits(permits))),
            ..self.in_scope()
        }
    }

    /// All locks with these IDs, of which this one is one.
    pub(crate) fn with_all(self, ids: Vec<LockId>) -> Advisory<AllScope> {
        Advisory {
            form: Some(Box::new(Form::All(ids))),
            ..self.in_scope()
        }
    }
}

impl<S> Advisory<S> {
    fn in_scope<T>(self) -> Advisory<T> {
        Advisory {
            id: self.id,
            function: self.function,
            label: self.label,
            mode: self.mode,
            scope: self.scope,
            dedicated: self.dedicated,
            reentrant: self.reentrant,
            timeout: self.timeout,
            limits: self.limits,
            using: self.using,
            on_busy: self.on_busy,
            form: self.form,
            marker: PhantomData,
        }
    }

    /// Holds the lock in a transaction that is kept open on one of pglock's own sessions.
    ///
    /// This works through a pooler in transaction mode, where a session lock cannot. While the transaction is open, it
    /// holds back vacuum. For a lock in your own transaction, use [`acquire_xact`](Advisory::acquire_xact).
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
    pub fn xact(self) -> Advisory<TransactionScope>
    where
        S: OneLock,
    {
        Advisory {
            scope: Scope::Transaction,
            dedicated: false,
            ..self.in_scope()
        }
    }

    /// Acquires the lock in shared mode: other shared holders can hold it at the same time. A permit of a
    /// [limit](fn@crate::limit) has one holder, and does not have this. A [`fenced`](Advisory::fenced) lock is refused with
    /// [`ErrorKind::Config`](crate::ErrorKind::Config).
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
    pub fn shared(mut self) -> Self
    where
        S: Shareable,
    {
        self.mode = AdvisoryMode::Shared;
        self
    }

    /// Limits how long to wait for the lock, without the time for connecting and for the body. See [`Timeout`].
    ///
    /// Without it, `acquire` and `run` wait without a limit, and their `try_` twins do not wait. Those refuse `None` with
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): they would wait and never find the lock busy.
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
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.timeout = Some(timeout.into_timeout());
        self
    }

    /// Whether a call for the lock inside a call that holds it shares it, as it does by default. With `false`, on either of
    /// them, the inner one is refused with [`ErrorKind::Config`](crate::ErrorKind::Config).
    ///
    /// What runs inside a call is not always a part of it: in a body that calls `rayon::join`, the thread may run other
    /// jobs while it waits, and a call of theirs for the same lock would overlap with the body.
    ///
    /// It has no effect on guards, which are never shared, nor on a connection of yours.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let lock = || pglock::advisory("thumbnails").reentrant(false);
    /// lock().run(|| {
    ///     assert!(lock().run(|| Ok::<_, pglock::Error>(())).unwrap_err().is_config());
    ///     Ok::<_, pglock::Error>(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reentrant(mut self, reentrant: bool) -> Self {
        self.reentrant = reentrant;
        self
    }

    /// Acquires the lock in another database than the default one, given by its registered name or by its handle.
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

    /// Names the lock in metrics and traces, for an ID that is one of many: one name for all customers' invoices, say.
    ///
    /// It is a `&'static str`, so that a program has only so many labels as its code has. The attribute sets it to the
    /// lock's ID as written, with its placeholders, or to the function's path. Without a label, metrics say
    /// `unlabeled`.
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

    /// For callers that go on without a busy lock. Its holder is looked up only for traces.
    pub(crate) fn skipping(mut self) -> Self {
        self.on_busy = OnBusy::Skip;
        self
    }

    fn request(self, default: Timeout) -> Result<LockRequest, Error> {
        if let Some(function) = self.function {
            function.refuse_duplicate()?;
        }
        let wait = WaitPolicy::try_from(self.timeout.unwrap_or(default))?;
        if self.on_busy == OnBusy::Skip && wait == WaitPolicy::Block {
            return Err(Error::never_skips(&self.id));
        }
        Ok(LockRequest {
            wait,
            limits: self.limits.checked(&self.id)?,
            on_busy: self.on_busy,
            lock: LockSpec::new(self.id, self.mode, self.label)?,
        })
    }

    /// The request for one of pglock's own sessions.
    pub(crate) fn for_own_session(self, default: Timeout) -> Result<CallRequest, Error> {
        let (scope, dedicated, reentrant) = (self.scope, self.dedicated, self.reentrant);
        let using = self.using.clone();
        let purpose = self.purpose()?;
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
            dedicated,
            reentrant,
            purpose: purpose.map(Box::new),
            database,
        }))
    }

    fn purpose(&self) -> Result<Option<Purpose>, Error> {
        match self.form.as_deref() {
            None => Ok(None),
            Some(Form::Permits(count)) => Ok(Some(Purpose::Limit(Permits::new(*count, &self.id)?))),
            Some(Form::Ruled(rules)) => {
                if rules
                    .once_in
                    .is_some_and(|period| !PERIODS.contains(&period))
                {
                    return Err(Error::bad_period(&self.id));
                }
                if self.scope == Scope::Transaction {
                    return Err(Error::rules_elsewhere(&self.id, "in a transaction"));
                }
                if rules.fenced && self.mode == AdvisoryMode::Shared {
                    return Err(Error::shared_token(&self.id));
                }
                Ok(Some(Purpose::Ruled(*rules)))
            }
            Some(Form::All(ids)) => {
                let locks = LockSpec::all(ids, self.mode, self.label)?;
                Ok(Some(Purpose::All(locks)))
            }
        }
    }

    /// The request for a connection of the caller's.
    pub(crate) fn for_connection(self, default: Timeout) -> Result<ConnectionRequest, Error> {
        if let Some(Form::Ruled(_)) = self.form.as_deref() {
            return Err(Error::rules_elsewhere(&self.id, "on a connection of yours"));
        }
        let request = self.request(default)?;
        request
            .limits
            .refuse(&request.lock.id, "on a connection of yours")?;
        Ok(request.into())
    }
}
