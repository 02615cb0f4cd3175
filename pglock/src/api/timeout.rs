//! Lock timeouts on a connection, until a scope ends.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio_postgres::error::SqlState;

use crate::background::{OwnerProcess, block_on};
use crate::drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, AsyncWire,
    BlockingWire, CleanUp, CleanUpOnDrop, Connection, InTransaction, lend_async, lend_blocking,
};
use crate::error::{Error, Failure};
use crate::model::options::{IntoTimeout, Timeout, WaitPolicy};
use crate::sql;
use crate::sql::Rows;
use crate::wire::SimpleQuery;

/// Limits how long each statement on a connection waits for locks, until the scope ends.
///
/// The scope lends the connection. When it ends, `lock_timeout` is set back to its previous value, so scopes can be
/// nested. In a transaction the setting belongs to the transaction, whose end sets it back too.
///
/// A statement that waits holds back vacuum and each `CREATE INDEX CONCURRENTLY`, so a limit helps others too.
///
/// Behind a pooler in transaction mode, set it in a transaction: outside, the next statement may be on another session of the
/// server, and the setting reaches other clients of the pool. That is found when the scope ends, and is
/// [`ErrorKind::Environment`](crate::ErrorKind::Environment).
///
/// `None` waits without a limit. A zero duration is refused, since for Postgres it means "no limit".
///
/// See also [`lock_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT),
/// which is in milliseconds.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// use std::time::Duration;
///
/// let mut patient = pglock::timeout(Duration::from_secs(3)).on(&mut client)?;
/// patient.batch_execute("ALTER TABLE orders ADD total numeric")?; // fails after 3 s of waiting
/// patient.restore()?;
/// # Ok(())
/// # }
/// ```
pub fn timeout(timeout: impl IntoTimeout) -> LockTimeout {
    LockTimeout(timeout.into_timeout())
}

/// A lock timeout to set: see [`timeout`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is set before `on` or `on_async`"]
pub struct LockTimeout(Timeout);

impl LockTimeout {
    fn checked(self) -> Result<WaitPolicy, Error> {
        match self.0.try_into()? {
            WaitPolicy::NoWait => Err(Error::config(
                "for Postgres a lock timeout of zero means no limit; use 1 ms or more, or `None` for no limit",
            )),
            wait => Ok(wait),
        }
    }

    /// Sets the timeout on a connection, in a transaction or outside, until the scope ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a duration that Postgres cannot represent, and in an aborted
    /// transaction; [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) as the server
    /// reports them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut scope = pglock::timeout(std::time::Duration::from_secs(3)).on(&mut client)?;
    /// scope.simple_query("SELECT 1")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<TimeoutScope<'_, C>, Error> {
        let previous = self.begin(connection)?;
        Ok(TimeoutScope {
            connection,
            previous: Some(previous),
        })
    }

    pub(crate) fn begin<C: AnyConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<PreviousTimeout, Error> {
        let wait = self.checked()?;
        block_on(set(&mut BlockingWire(connection), wait, &scope_name()))
    }

    /// Like [`on`](LockTimeout::on), for an async connection.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: the setting has its previous value before the connection's next
    /// statement. In a transaction of sqlx's the timeout may stay until the transaction ends: see [`AsyncConnection`].
    pub async fn on_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<AsyncTimeoutScope<'_, C>, Error> {
        let wait = self.checked()?;
        let scope = scope_name();
        let clean_up = CleanUp::of_setting(&sql::lock_timeout::undo_set_lock_timeout(&scope));
        let mut wire = CleanUpOnDrop::new(connection, clean_up);
        let previous = set(&mut wire, wait, &scope).await?;
        drop(wire);
        Ok(AsyncTimeoutScope {
            connection,
            previous: Some(previous),
        })
    }
}

/// The previous value of `lock_timeout`.
#[derive(Debug)]
pub(crate) struct PreviousTimeout {
    value: String,
    in_transaction: bool,
    backend: i32,
    process: OwnerProcess,
}

impl PreviousTimeout {
    /// Sets `lock_timeout` back.
    pub(crate) fn end<C: AnyConnection + ?Sized>(self, connection: &mut C) -> Result<(), Error> {
        block_on(restore(&mut BlockingWire(connection), &self))
    }

    /// Whether it was set in a transaction.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// The end of a transaction ends its setting too, on whatever backend the connection is by then.
    fn found_its_backend(&self, restored: &Rows) -> Result<(), Error> {
        if self.in_transaction || restored.first_row().is_some() {
            Ok(())
        } else {
            Err(Error::setting_left_behind())
        }
    }

    fn restore_statement(&self) -> String {
        sql::lock_timeout::restore_lock_timeout(&self.value, self.in_transaction, self.backend)
    }
}

/// No other scope has that name, of whatever process: behind a pooler they may get each other's sessions.
fn scope_name() -> String {
    static SCOPES: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let (process, scope) = (std::process::id(), SCOPES.fetch_add(1, Ordering::Relaxed));
    format!("{process}-{scope}-{}", now.unwrap_or_default().as_nanos())
}

async fn set(
    wire: &mut impl SimpleQuery,
    wait: WaitPolicy,
    scope: &str,
) -> Result<PreviousTimeout, Error> {
    match wire
        .simple_query_or_clean_up(&sql::lock_timeout::set_lock_timeout(wait, scope))
        .await
    {
        Ok(rows) => {
            let row = rows.first_row();
            let value = row.as_ref().and_then(|row| row.text(0));
            let backend = row.as_ref().and_then(|row| row.text(2)?.parse().ok());
            match (value, &row, backend) {
                (Some(value), Some(row), Some(backend)) => Ok(PreviousTimeout {
                    value: value.to_owned(),
                    in_transaction: row.is_true(1),
                    backend,
                    process: OwnerProcess::current(),
                }),
                _ => Err(Error::setting_failed(Failure::unexpected_answer())),
            }
        }
        Err(failure) => Err(Error::setting_failed(failure)),
    }
}

async fn restore(wire: &mut impl SimpleQuery, previous: &PreviousTimeout) -> Result<(), Error> {
    if !previous.is_of_this_process() {
        return Err(Error::setting_lost_to_fork());
    }
    match wire.simple_query(&previous.restore_statement()).await {
        Ok(rows) => previous.found_its_backend(&rows),
        // The setting belongs to the transaction, whose rollback sets it back.
        Err(failure)
            if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) && previous.in_transaction =>
        {
            Ok(())
        }
        // A transaction was begun by hand in the scope, and is aborted: nothing else can be run before its rollback.
        Err(failure) if failure.is(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            let _ = wire.simple_query(sql::transaction::ROLLBACK).await;
            let again = wire.simple_query(&previous.restore_statement()).await;
            let rows = again.map_err(Error::setting_failed)?;
            previous.found_its_backend(&rows)
        }
        Err(failure) => Err(Error::setting_failed(failure)),
    }
}

/// A blocking connection under a lock timeout: see [`LockTimeout::on`].
///
/// Dropping it sets `lock_timeout` back, which blocks for one round trip.
#[must_use = "the timeout ends when the scope is dropped: bind it, as in `let mut scope = ..`"]
pub struct TimeoutScope<'c, C: AnyConnection + ?Sized> {
    connection: &'c mut C,
    previous: Option<PreviousTimeout>,
}

impl<C: AnyConnection + ?Sized> TimeoutScope<'_, C> {
    /// Sets `lock_timeout` back, and reports if that fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) as the server
    /// reports them; [`Environment`](crate::ErrorKind::Environment) when a pooler has moved the connection to another
    /// session of the server, where nothing is set. An aborted transaction in which the scope began is not an error: its rollback sets `lock_timeout`
    /// back.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let scope = pglock::timeout(std::time::Duration::from_secs(3)).on(&mut client)?;
    /// scope.restore()?;
    /// let lock_timeout: String = client.query_one("SHOW lock_timeout", &[])?.get(0);
    /// assert_eq!(lock_timeout, "0");
    /// # Ok(())
    /// # }
    /// ```
    pub fn restore(mut self) -> Result<(), Error> {
        self.restore_once()
    }

    fn restore_once(&mut self) -> Result<(), Error> {
        match self.previous.take() {
            Some(previous) => previous.end(self.connection),
            None => Ok(()),
        }
    }
}

impl<C: AnyConnection + ?Sized> Drop for TimeoutScope<'_, C> {
    fn drop(&mut self) {
        // A drop cannot report a failure; `restore` does.
        let _ = self.restore_once();
    }
}

/// An async connection under a lock timeout: see [`LockTimeout::on_async`].
///
/// Dropping it sends the statement that sets `lock_timeout` back, without waiting for the answer. Statements that are
/// sent later run after it.
#[must_use = "the timeout ends when the scope is dropped: bind it, as in `let mut scope = ..`"]
pub struct AsyncTimeoutScope<'c, C: AnyAsyncConnection + ?Sized> {
    connection: &'c mut C,
    previous: Option<PreviousTimeout>,
}

impl<'c, C: AnyAsyncConnection + ?Sized> AsyncTimeoutScope<'c, C> {
    /// A scope that leaves the setting as it is.
    pub(crate) fn unchanged(connection: &'c mut C) -> Self {
        Self {
            connection,
            previous: None,
        }
    }

    /// Whether it was set in a transaction.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.previous
            .as_ref()
            .is_some_and(PreviousTimeout::is_in_transaction)
    }

    /// Like [`TimeoutScope::restore`].
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point: the setting is restored as by dropping the scope. Only `restore` itself can end
    /// a transaction that was begun by hand in the scope and is aborted; if it is dropped then, the timeout may stay.
    pub async fn restore(mut self) -> Result<(), Error> {
        let Some(previous) = &self.previous else {
            return Ok(());
        };
        let mut wire = AsyncWire(&mut *self.connection);
        let restored = restore(&mut wire, previous).await;
        self.previous = None;
        restored
    }
}

impl<C: AnyAsyncConnection + ?Sized> Drop for AsyncTimeoutScope<'_, C> {
    fn drop(&mut self) {
        if let Some(previous) = self.previous.take()
            && previous.is_of_this_process()
        {
            self.connection.queue(&previous.restore_statement());
        }
    }
}

lend_blocking!(TimeoutScope, AnyConnection);
lend_async!(AsyncTimeoutScope, AnyAsyncConnection);

#[diagnostic::do_not_recommend]
impl<C: AnyConnection + Connection + ?Sized> Connection for TimeoutScope<'_, C> {}

#[diagnostic::do_not_recommend]
impl<C: AnyConnection + InTransaction + ?Sized> InTransaction for TimeoutScope<'_, C> {}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + AsyncConnection + ?Sized> AsyncConnection
    for AsyncTimeoutScope<'_, C>
{
}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + AsyncInTransaction + ?Sized> AsyncInTransaction
    for AsyncTimeoutScope<'_, C>
{
}

impl<C: AnyConnection + ?Sized> fmt::Debug for TimeoutScope<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutScope").finish_non_exhaustive()
    }
}

impl<C: AnyAsyncConnection + ?Sized> fmt::Debug for AsyncTimeoutScope<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTimeoutScope").finish_non_exhaustive()
    }
}
