//! Queries for locks: who holds them, who waits for them, and who blocks whom.

mod actions;
#[cfg(feature = "toml")]
mod configs;

use std::marker::PhantomData;

use crate::background::block_on;
use crate::drivers::{AnyConnection, AsyncReader, AsyncReaderWire, BlockingWire};
use crate::error::Error;
use crate::model::table::TableName;
use crate::sql::{Rows, Statement};
use crate::view::sql::{self, LocksQuery};
use crate::view::{self, BlockedLock, Condition, FromRow, Lock, Matches};
use crate::wire::ExtendedQuery;

/// The locks in this database, held and waited for, of every kind: django-pglock's `PGLock`.
///
/// Locks that are waited for come first, the longest wait before others, then the longest statement. The locks of the
/// session that asks are included.
///
/// See also the view [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// for lock in pglock::locks().granted(false).on(["orders"]).fetch(&mut client)? {
///     println!("{lock}"); // pid 4046 ("migration", user "app") waits 43 s for ACCESS_EXCLUSIVE on table public.orders
/// }
/// # Ok(())
/// # }
/// ```
pub fn locks() -> Locks {
    Locks::new()
}

/// The locks that are waited for in this database, with one row for each blocking session: django-pglock's
/// `BlockedPGLock`.
///
/// See also [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION),
/// which is called for each lock that is waited for, and stops the server's lock manager for a moment each time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// for blocked in pglock::blocked_locks().filter("wait_duration__gte=5 seconds")?.fetch(&mut client)? {
///     println!("{blocked}"); // pid 4046 (..) waits 43 s for .., blocked by pid 4045 ("report", user "app"), ..
/// }
/// # Ok(())
/// # }
/// ```
pub fn blocked_locks() -> Locks<BlockedLock> {
    Locks::new()
}

/// A query for locks: see [`locks`](fn@locks) and [`blocked_locks`].
///
/// `R` is the row that [`fetch`](Locks::fetch) returns, `A` what the actions return: the pids of the sessions that they
/// signaled, or after [`report`](Locks::report) a [`Blocker`](crate::Blocker) for each that they found.
///
/// With the feature `toml`, `config("name")` takes the query from a file.
#[derive(Debug)]
#[must_use = "nothing is asked until `fetch` or one of the actions is called"]
pub struct Locks<R = Lock, A = Vec<i32>> {
    query: LocksQuery,
    own_session: bool,
    #[cfg(feature = "toml")]
    database: Option<Box<tokio_postgres::Config>>,
    returns: PhantomData<fn() -> (R, A)>,
}

// A derived `Clone` would require `R: Clone`.
impl<R, A> Clone for Locks<R, A> {
    fn clone(&self) -> Self {
        Self {
            query: self.query.clone(),
            own_session: self.own_session,
            #[cfg(feature = "toml")]
            database: self.database.clone(),
            returns: PhantomData,
        }
    }
}

impl<R> Locks<R> {
    fn new() -> Self {
        Self {
            query: LocksQuery::default(),
            own_session: false,
            #[cfg(feature = "toml")]
            database: None,
            returns: PhantomData,
        }
    }
}

impl<R: FromRow, A> Locks<R, A> {
    /// Only locks of these sessions, by pid; for [`blocked_locks`], also those that these sessions block.
    ///
    /// An empty list finds none. The last call replaces earlier ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// for blocked in pglock::blocked_locks().pid([pid]).fetch(&mut client)? {
    ///     println!("{} blocks {}", blocked.blocking_activity.pid, blocked.activity.pid);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(mut self, pids: impl IntoIterator<Item = i32>) -> Self {
        self.query.pids = Some(pids.into_iter().collect());
        self
    }

    /// Only locks on these tables, or other relations, on their pages and rows, and waits for one of their rows. The partitions
    /// and children of a table count as the table, and so do the tables that a view reads, all the way down.
    ///
    /// A wait for a row is a wait for the transaction that has it: see [`Lock::rel_of_row`]. If the server does not show in
    /// which of several tables the row is, the wait is found by each of them.
    ///
    /// An empty list finds none; a name without a relation is an error. The last call replaces earlier ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// let mut tx = client.transaction()?;
    /// pglock::table("orders").lock(&mut tx)?;
    /// assert_eq!(pglock::locks().on(["orders"]).fetch(&mut tx)?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<T: Into<TableName>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.query.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Only locks that are held (`true`), or only locks that are waited for (`false`).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// assert!(pglock::locks().granted(false).fetch(&mut client)?.is_empty()); // no session waits
    /// # Ok(())
    /// # }
    /// ```
    pub fn granted(mut self, granted: bool) -> Self {
        self.query.granted = Some(granted);
        self
    }

    /// At most this many, those that come first.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let longest_wait = pglock::locks().granted(false).limit(1).fetch(&mut client)?;
    /// assert!(longest_wait.len() <= 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, limit: u32) -> Self {
        self.query.limit = Some(limit);
        self
    }

    /// Only locks that match the filter, in the syntax of django-pglock: `field=value` or `field__lookup=value`.
    ///
    /// Each further filter narrows the result. The fields are those of [`Lock`], `activity__` and a field of
    /// [`Activity`](crate::Activity), and for [`blocked_locks`] `blocking_activity__` and such a field; `type` is
    /// `kind`.
    ///
    /// | lookup | for | value |
    /// | --- | --- | --- |
    /// | `exact`, or none | all | one |
    /// | `in` | all | several, separated by commas |
    /// | `isnull` | all | `True` or `False` |
    /// | `gt`, `gte`, `lt`, `lte` | texts, integers, times, durations | one |
    /// | `range` | the same | two, separated by a comma; both are included |
    /// | `iexact`, `contains`, `startswith`, `endswith`, and `icontains`, `istartswith`, `iendswith` | texts, and words such as a kind or a mode | a text, taken literally; with an `i`, in upper or lower case |
    /// | `regex`, `iregex` | the same | a [regular expression](https://www.postgresql.org/docs/current/functions-matching.html#FUNCTIONS-POSIX-REGEXP) of Postgres' |
    ///
    /// Durations are intervals as Postgres reads them (`5 seconds`), and so are times (`2030-01-01 12:00+00`). Values
    /// are bound, never written into the statement.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a field or a lookup that does not exist, with those that do,
    /// and for a value that is not an integer, boolean, or word where one is needed. Durations, times and regular
    /// expressions are read by the server, so for bad ones the query fails later, with
    /// [`Database`](crate::ErrorKind::Database).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let stuck = pglock::blocked_locks()
    ///     .filter("activity__duration__gt=1 minute")?
    ///     .filter("blocking_activity__state=IDLE_IN_TRANSACTION")?
    ///     .fetch(&mut client)?;
    /// assert!(pglock::locks().filter("colour=red").unwrap_err().is_config());
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
        let condition = Condition::parse(filter.as_ref(), R::BLOCKED, Matches::Keep)?;
        self.query.conditions.push(condition);
        Ok(self)
    }

    /// Not the locks that match the filter; locks for which the field is unknown stay.
    ///
    /// # Errors
    ///
    /// As [`filter`](Locks::filter).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let of_others = pglock::locks().exclude("activity__application_name=psql")?.fetch(&mut client)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exclude(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
        let condition = Condition::parse(filter.as_ref(), R::BLOCKED, Matches::Exclude)?;
        self.query.conditions.push(condition);
        Ok(self)
    }

    /// Runs the query, in one round trip, or two with [`on`](Locks::on); on sqlx twice as many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a table that does not exist, and in a transaction that an
    /// earlier error has aborted; [`Connect`](crate::ErrorKind::Connect) when the session has ended;
    /// [`Database`](crate::ErrorKind::Database) when Postgres refuses the query, which also aborts a transaction around
    /// it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// for lock in pglock::locks().granted(true).fetch(&mut client)? {
    ///     println!("{} holds {}: {:?}", lock.activity.pid, lock.mode, lock.rel_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch<C: AnyConnection + ?Sized>(self, connection: &mut C) -> Result<Vec<R>, Error> {
        block_on(self.find(&mut BlockingWire(connection)))
    }

    /// Like [`fetch`](Locks::fetch), for an async connection.
    ///
    /// It only reads, so tasks may share the client: pass `&mut &client`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, client) = pglock_tests::async_client().await;
    /// async fn watch(client: &tokio_postgres::Client) -> Result<(), pglock::Error> {
    ///     for lock in pglock::locks().granted(false).fetch_async(&mut &*client).await? {
    ///         println!("{lock}");
    ///     }
    ///     Ok(())
    /// }
    /// # Ok(watch(&client).await?)
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again. The connection's next statement waits for the answer; on sqlx,
    /// it gets the error if the answer is one.
    pub async fn fetch_async<C: AsyncReader + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<R>, Error> {
        self.find(&mut AsyncReaderWire(connection)).await
    }

    async fn find(self, wire: &mut impl ExtendedQuery) -> Result<Vec<R>, Error> {
        refuse_unknown_tables(wire, self.query.tables.as_deref()).await?;
        let statement = sql::fetch(&self.query, R::BLOCKED);
        Ok(view::read(&run_query(wire, &statement).await?))
    }
}

pub(crate) async fn refuse_unknown_tables(
    wire: &mut impl ExtendedQuery,
    tables: Option<&[TableName]>,
) -> Result<(), Error> {
    let tables = tables.unwrap_or_default();
    tables.iter().try_for_each(TableName::checked)?;
    if tables.is_empty() {
        return Ok(());
    }
    let unknown = run_query(wire, &sql::unknown_tables(tables)).await?;
    match unknown.first_row() {
        Some(row) => Err(Error::no_table(row.text(0).unwrap_or_default())),
        None => Ok(()),
    }
}

pub(crate) async fn run_query(
    wire: &mut impl ExtendedQuery,
    (sql, values): &Statement,
) -> Result<Rows, Error> {
    wire.query(sql, values).await.map_err(Error::query_failed)
}
