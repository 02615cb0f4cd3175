//! The builder of table locks.

use std::fmt;

use tokio_postgres::error::SqlState;

use crate::background::block_on;
use crate::drivers::{AsyncInTransaction, BlockingWire, CleanUp, CleanUpOnDrop, InTransaction};
use crate::error::{Error, TRY_LOCK, unless_busy};
use crate::model::options::{OnBusy, Timeout, WaitPolicy};
use crate::model::table::{self, Model, TableMode, TableName};
use crate::telemetry::{self, Attempt, Subject};
use crate::wire::SimpleQuery;
use crate::wire::protocol::{self, AcquireOutcome};

/// Locks on tables, all taken by one statement, to be asked for in a transaction, whose end releases them.
///
/// `ACCESS EXCLUSIVE`, and waited for as long as `lock_timeout` says, unless told otherwise. Names are quoted: `"Order"` is not `order`.
///
/// Stands on [`LOCK`](https://www.postgresql.org/docs/current/sql-lock.html).
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

/// Locks on tables to be asked for: see [`tables`].
#[derive(Clone, Debug)]
#[must_use = "nothing is locked before `lock`, or one of its like"]
pub struct Tables {
    names: Vec<TableName>,
    mode: TableMode,
    timeout: Option<Timeout>,
    on_busy: OnBusy,
}

impl Tables {
    /// In which mode; `AccessExclusive` without this.
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

    /// Bounds the wait for each of the tables; a zero duration doesn't wait (`NOWAIT`). See [`Timeout`].
    ///
    /// Without it `lock` waits as long as the session's `lock_timeout` says, which [`fn@timeout`](fn@crate::timeout) sets
    /// and which is without end unless something does; `try_lock` doesn't wait.
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
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Takes the locks in a transaction, waiting for them. It can go on after an error, with none of them taken.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) after the timeout, with a [holder](Error::holder);
    /// [`Config`](crate::ErrorKind::Config) for an empty list, a name that can't be one, or an aborted transaction;
    /// [`Deadlock`](crate::ErrorKind::Deadlock), [`Connect`](crate::ErrorKind::Connect) or
    /// [`Database`](crate::ErrorKind::Database) (no such table, no right to lock it) when the server says so.
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
        let asked = self.asked(None)?;
        block_on(asked.lock(&mut BlockingWire(transaction)))
    }

    /// Tries for the locks once, or up to the timeout; `false` when one is busy. The transaction can go on.
    ///
    /// # Errors
    ///
    /// As [`lock`](Tables::lock), but for `Busy`.
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
        let asked = self.skipping().asked(Some(Timeout::ZERO))?;
        let locked = block_on(asked.lock(&mut BlockingWire(transaction)));
        unless_busy(locked).map(|locked| locked.is_some())
    }

    /// Like [`lock`](Tables::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Tables::lock).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the wait is canceled in the server and the transaction can go on, up to 0.8 s later;
    /// trying again is safe. If the locks were granted in that moment, the transaction keeps them to its end. On sqlx
    /// nothing is canceled: see [`AsyncConnection`](crate::AsyncConnection).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// # client.batch_execute("CREATE TABLE orders ()").await?;
    /// let mut tx = client.transaction().await?;
    /// pglock::table("orders").lock_async(&mut tx).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lock_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<(), Error> {
        let asked = self.asked(None)?;
        asked.lock_async(transaction).await
    }

    /// Like [`try_lock`](Tables::try_lock).
    ///
    /// # Errors
    ///
    /// As [`try_lock`](Tables::try_lock).
    ///
    /// # Cancel safety
    ///
    /// As [`lock_async`](Tables::lock_async).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// # client.batch_execute("CREATE TABLE orders ()").await?;
    /// let mut tx = client.transaction().await?;
    /// assert!(pglock::table("orders").try_lock_async(&mut tx).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_lock_async<T: AsyncInTransaction + ?Sized>(
        self,
        transaction: &mut T,
    ) -> Result<bool, Error> {
        let asked = self.skipping().asked(Some(Timeout::ZERO))?;
        let locked = asked.lock_async(transaction).await;
        unless_busy(locked).map(|locked| locked.is_some())
    }

    fn skipping(mut self) -> Self {
        self.on_busy = OnBusy::Skip;
        self
    }

    fn asked(self, default: Option<Timeout>) -> Result<TableLockRequest, Error> {
        if self.names.is_empty() {
            return Err(Error::config(
                "no table is named, so there is nothing to lock; name one or more",
            ));
        }
        self.names.iter().try_for_each(TableName::checked)?;
        let wait = self
            .timeout
            .or(default)
            .map(WaitPolicy::try_from)
            .transpose()?;
        Ok(TableLockRequest { tables: self, wait })
    }
}

/// Table locks that are asked for, checked.
struct TableLockRequest {
    tables: Tables,
    /// `None`: as the session's `lock_timeout` says.
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
        attempt.end(self.ask(wire).await)
    }

    async fn ask(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let Tables { names, mode, .. } = &self.tables;
        match protocol::lock_tables(wire, names, *mode, self.wait).await {
            AcquireOutcome::Granted => Ok(()),
            AcquireOutcome::Busy => {
                let holder = if telemetry::asks_for_holder(self.tables.on_busy) {
                    protocol::table_holder(wire, names, *mode).await
                } else {
                    None
                };
                Err(Error::busy(
                    self,
                    self.wait.and_then(WaitPolicy::bound),
                    holder,
                    TRY_LOCK,
                ))
            }
            AcquireOutcome::InTransaction | AcquireOutcome::WrongBackend => {
                Err(Error::in_aborted_transaction(self))
            }
            AcquireOutcome::Failed(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
                Err(Error::outside_a_transaction(self, failure))
            }
            AcquireOutcome::Failed(failure) | AcquireOutcome::Broken(failure) => {
                Err(Error::not_acquired(self, failure))
            }
        }
    }
}

/// As in "lock on table "orders" is busy".
impl fmt::Display for TableLockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &self.tables.names;
        let tables = if names.len() == 1 { "table" } else { "tables" };
        write!(f, "on {tables} {}", table::list(names))
    }
}
