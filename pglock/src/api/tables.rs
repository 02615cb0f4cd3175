//! The builder of table locks.

use std::fmt;

use crate::background::block_on;
use crate::drivers::{AsyncInTransaction, BlockingWire, CleanUp, CleanUpOnDrop, InTransaction};
use crate::error::{Error, TRY_LOCK, unless_busy};
use crate::model::options::{IntoTimeout, OnBusy, Timeout, WaitPolicy};
use crate::model::table::{self, Model, TableMode, TableName};
use crate::telemetry::{Attempt, Subject};
use crate::wire::SimpleQuery;
use crate::wire::protocol;

/// Locks on several tables, acquired by one statement in a transaction, whose end releases them.
///
/// By default the mode is `ACCESS EXCLUSIVE`, and the wait is as long as `lock_timeout` allows. Names are quoted:
/// `"Order"` is not `order`. The transaction, and so the wait, holds back vacuum and each `CREATE INDEX CONCURRENTLY` until
/// it ends.
///
/// See also [`LOCK`](https://www.postgresql.org/docs/current/sql-lock.html).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders (); CREATE SCHEMA billing; CREATE TABLE billing.invoices ()")?;
/// use std::time::Duration;
/// use pglock::TableMode;
///
/// let mut tx = client.transaction()?;
/// pglock::tables(["orders", "billing.invoices"])
///     .mode(TableMode::Share)
///     .timeout(Duration::from_secs(2))
///     .lock(&mut tx)?;
/// tx.commit()?; // released
/// # Ok(())
/// # }
/// ```
pub fn tables<N: Into<TableName>>(names: impl IntoIterator<Item = N>) -> Tables {
    Tables {
        names: names.into_iter().map(Into::into).collect(),
        mode: TableMode::default(),
        timeout: None,
        on_busy: OnBusy::Fail,
    }
}

/// A lock on one table: see [`tables`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute(r#"CREATE TABLE "odd.name" ()"#)?;
/// let mut tx = client.transaction()?;
/// let got: bool = pglock::table(("public", "odd.name")).try_lock(&mut tx)?;
/// assert!(got);
/// # Ok(())
/// # }
/// ```
pub fn table(name: impl Into<TableName>) -> Tables {
    tables([name])
}

/// A lock on the table of a type: see [`Model`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// struct Order;
///
/// impl pglock::Model for Order {
///     const TABLE: &'static str = "orders";
/// }
///
/// let mut tx = client.transaction()?;
/// pglock::model::<Order>().lock(&mut tx)?;
/// # Ok(())
/// # }
/// ```
pub fn model<M: Model>() -> Tables {
    table(M::TABLE)
}

/// Table locks to acquire: see [`tables`].
#[derive(Clone, Debug)]
#[must_use = "nothing is locked until `lock` or `try_lock` is called"]
pub struct Tables {
    names: Vec<TableName>,
    mode: TableMode,
    timeout: Option<Timeout>,
    on_busy: OnBusy,
}

impl Tables {
    /// The lock mode; `AccessExclusive` by default.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// pglock::table("orders").mode(pglock::TableMode::RowExclusive).lock(&mut tx)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn mode(mut self, mode: TableMode) -> Self {
        self.mode = mode;
        self
    }

    /// Limits how long to wait for all of the tables together, and their partitions; a zero duration does not wait
    /// (`NOWAIT`). See [`Timeout`].
    ///
    /// Without it, `lock` waits for each of them as long as the session's `lock_timeout` allows, which [`fn@timeout`](fn@crate::timeout)
    /// sets, and which is unlimited by default; `try_lock` does not wait, and refuses `None`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// pglock::table("orders").timeout(std::time::Duration::from_secs(2)).lock(&mut tx)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.timeout = Some(timeout.into_timeout());
        self
    }

    /// Waits for the locks and acquires them in your transaction, which can go on after an error, with none of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout, with a [holder](Error::holder);
    /// [`Config`](crate::ErrorKind::Config) for an empty list, an impossible name, or an aborted transaction;
    /// [`Deadlock`](crate::ErrorKind::Deadlock), [`Connect`](crate::ErrorKind::Connect) or
    /// [`Database`](crate::ErrorKind::Database) (no such table, no permission to lock it) as the server reports them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// pglock::table("orders").lock(&mut tx)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock<T: InTransaction + ?Sized>(self, transaction: &mut T) -> Result<(), Error> {
        let request = self.request(None)?;
        block_on(request.lock(&mut BlockingWire(transaction)))
    }

    /// Tries to acquire the locks: once, or until the timeout. Returns `false` when one is busy; the transaction can go
    /// on.
    ///
    /// # Errors
    ///
    /// As [`lock`](Tables::lock), except `Busy`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// assert!(pglock::table("orders").try_lock(&mut tx)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock<T: InTransaction + ?Sized>(self, transaction: &mut T) -> Result<bool, Error> {
        let request = self.skipping().request(Some(Timeout::ZERO))?;
        let locked = block_on(request.lock(&mut BlockingWire(transaction)));
        unless_busy(locked).map(|locked| locked.is_some())
    }

    /// Like [`lock`](Tables::lock), for an async transaction.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, the wait is canceled in the server, and the transaction can go on after up to
    /// 0.8 s; calling it again is safe. Locks that were granted at that moment stay until the transaction ends. On sqlx
    /// the wait is not canceled: see [`AsyncConnection`](crate::AsyncConnection).
    pub async fn lock_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<(), Error> {
        let request = self.request(None)?;
        request.lock_async(transaction).await
    }

    /// Like [`try_lock`](Tables::try_lock), for an async transaction.
    ///
    /// # Cancel safety
    ///
    /// As [`lock_async`](Tables::lock_async).
    pub async fn try_lock_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        let request = self.skipping().request(Some(Timeout::ZERO))?;
        let locked = request.lock_async(transaction).await;
        unless_busy(locked).map(|locked| locked.is_some())
    }

    fn skipping(mut self) -> Self {
        self.on_busy = OnBusy::Skip;
        self
    }

    fn request(self, default: Option<Timeout>) -> Result<TableLockRequest, Error> {
        if self.names.is_empty() {
            return Err(Error::config(
                "the list of tables to lock is empty; name one or more",
            ));
        }
        self.names.iter().try_for_each(TableName::checked)?;
        let wait = self
            .timeout
            .or(default)
            .map(WaitPolicy::try_from)
            .transpose()?;
        let request = TableLockRequest { tables: self, wait };
        if request.tables.on_busy == OnBusy::Skip && wait == Some(WaitPolicy::Block) {
            return Err(Error::never_skips(&request));
        }
        Ok(request)
    }
}

/// Table locks to acquire, with checked names and options.
struct TableLockRequest {
    tables: Tables,
    /// `None`: as long as the session's `lock_timeout` allows.
    wait: Option<WaitPolicy>,
}

impl TableLockRequest {
    async fn lock_async(
        &self,
        transaction: &mut (impl AsyncInTransaction + ?Sized),
    ) -> Result<(), Error> {
        let clean_up = CleanUp::in_transaction(true);
        self.lock(&mut CleanUpOnDrop::new(transaction, clean_up))
            .await
    }

    async fn lock(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let subject = Subject::tables(&self.tables.names, self.tables.mode);
        let attempt = Attempt::begin(subject, self.tables.on_busy);
        attempt.end(self.acquire(wire).await)
    }

    async fn acquire(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let Tables { names, mode, .. } = &self.tables;
        let outcome = protocol::lock_tables(wire, names, *mode, self.wait).await;
        let granted = protocol::explain_acquire(self, outcome, Error::in_aborted_transaction)?;
        let look_up = async |wire: &mut _| protocol::table_holder(wire, names, *mode).await;
        let waited = self.wait.and_then(WaitPolicy::bound);
        let busy = |holder| Error::busy(self, waited, holder, TRY_LOCK);
        protocol::granted_or_busy(wire, granted, self.tables.on_busy, look_up, busy).await
    }
}

/// As in: lock on table "orders" is busy.
impl fmt::Display for TableLockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &self.tables.names;
        let tables = if names.len() == 1 { "table" } else { "tables" };
        write!(f, "on {tables} {}", table::list(names))
    }
}
