//! The locks that there are, who waits for them, and who is in the way.

mod actions;
#[cfg(feature = "toml")]
mod configs;

use std::marker::PhantomData;

use crate::background::block_on;
use crate::drivers::{AnyAsyncConnection, AnyConnection, AsyncWire, BlockingWire};
use crate::error::Error;
use crate::model::table::TableName;
use crate::sql::{Rows, Statement};
use crate::view::sql::{self, LocksQuery};
use crate::view::{self, BlockedLock, Condition, FromRow, Lock, Matches};
use crate::wire::ExtendedQuery;

/// The locks in this database, held and waited for, of every kind: django-pglock's `PGLock`.
///
/// Those that are waited for come first, the longest wait before others, then the longest statement. Locks of the
/// session that asks are among them.
///
/// Stands on the view [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html), Postgres 14 or newer.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// for lock in pglock::locks().granted(false).on(["orders"]).fetch(&mut client)? {
///     println!("{} waits for {}: {:?}", lock.activity.pid, lock.mode, lock.wait_duration);
/// }
/// # Ok(())
/// # }
/// ```
pub fn locks() -> Locks {
    Locks::new()
}

/// The locks that are waited for in this database, a row for each session that is in the way: django-pglock's
/// `BlockedPGLock`.
///
/// Stands on [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION),
/// which is asked for each lock that is waited for, and stops the server's lock manager for a moment each time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// for blocked in pglock::blocked_locks().filter("wait_duration__gte=5 seconds")?.fetch(&mut client)? {
///     println!("{} waits for {}", blocked.activity.pid, blocked.blocking_activity.pid);
/// }
/// # Ok(())
/// # }
/// ```
pub fn blocked_locks() -> Locks<BlockedLock> {
    Locks::new()
}

/// Locks to be found: see [`locks`](fn@locks) and [`blocked_locks`].
///
/// With the feature `toml`, `config("name")` asks as it is written under that name in a file.
#[derive(Debug)]
#[must_use = "nothing is asked before `fetch` or one of the actions"]
pub struct Locks<R = Lock> {
    asked: LocksQuery,
    own_session: bool,
    #[cfg(feature = "toml")]
    database: Option<Box<tokio_postgres::Config>>,
    row: PhantomData<fn() -> R>,
}

// Derived, it would ask for `R: Clone`.
impl<R> Clone for Locks<R> {
    fn clone(&self) -> Self {
        Self {
            asked: self.asked.clone(),
            own_session: self.own_session,
            #[cfg(feature = "toml")]
            database: self.database.clone(),
            row: PhantomData,
        }
    }
}

impl<R: FromRow> Locks<R> {
    fn new() -> Self {
        Self {
            asked: LocksQuery::default(),
            own_session: false,
            #[cfg(feature = "toml")]
            database: None,
            row: PhantomData,
        }
    }

    /// Only locks of these sessions, by pid; for [`blocked_locks`] also of those that block them.
    ///
    /// None are found for an empty list. The last call counts.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let pid = 1;
    /// for blocked in pglock::blocked_locks().pid([pid]).fetch(&mut client)? {
    ///     println!("{} is in the way", blocked.blocking_activity.pid);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(mut self, pids: impl IntoIterator<Item = i32>) -> Self {
        self.asked.pids = Some(pids.into_iter().collect());
        self
    }

    /// Only locks on these tables, on pages and rows of theirs, and on other relations that are named.
    ///
    /// None are found for an empty list; a name that is no relation's is an error. The last call counts.
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
        self.asked.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// Only locks that are held, or only such that are waited for.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// assert!(pglock::locks().granted(false).fetch(&mut client)?.is_empty()); // nobody waits
    /// # Ok(())
    /// # }
    /// ```
    pub fn granted(mut self, granted: bool) -> Self {
        self.asked.granted = Some(granted);
        self
    }

    /// At most so many, of those that come first.
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
        self.asked.limit = Some(limit);
        self
    }

    /// Only those for which the filter holds, which is django-pglock's: `field=value` or `field__lookup=value`.
    ///
    /// Each further filter narrows it. The fields are those of [`Lock`], `activity__` and a field of [`Activity`](crate::Activity), and
    /// for [`blocked_locks`] `blocking_activity__` and one of those; `type` is `kind`.
    ///
    /// | lookup | for | value |
    /// | --- | --- | --- |
    /// | `exact`, or none | all | one |
    /// | `in` | all | several, with commas between |
    /// | `isnull` | all | `True` or `False` |
    /// | `gt`, `gte`, `lt`, `lte` | texts, integers, times, durations | one |
    /// | `range` | the same | two, with a comma between, both in it |
    /// | `iexact`, `contains`, `startswith`, `endswith`, and `icontains` and its like | texts, and words such as a kind or a mode | a text, to the letter; in any case with an `i` |
    /// | `regex`, `iregex` | the same | a [regular expression](https://www.postgresql.org/docs/current/functions-matching.html#FUNCTIONS-POSIX-REGEXP) of Postgres' |
    ///
    /// Durations are intervals as Postgres reads them (`5 seconds`), times are too (`2030-01-01 12:00+00`). Values are
    /// bound, never written into the statement.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a field or a lookup that does not exist, with those that
    /// do, and for a value that is no integer, boolean, or word where one is needed. The server reads durations, times
    /// and regular expressions, so the verbs fail with [`Database`](crate::ErrorKind::Database) for bad ones.
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
        self.asked.conditions.push(condition);
        Ok(self)
    }

    /// Not those for which the filter holds; those for which it can't be told stay.
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
        self.asked.conditions.push(condition);
        Ok(self)
    }

    /// Asks for the locks, in one round trip, or two with [`on`](Locks::on); twice as many on sqlx.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a table that does not exist, and in a transaction that an
    /// earlier error has aborted; [`Connect`](crate::ErrorKind::Connect) when the session has ended;
    /// [`Database`](crate::ErrorKind::Database) when Postgres refuses, which also aborts a transaction around it.
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

    /// Like [`fetch`](Locks::fetch).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Locks::fetch).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, nothing is left behind, and asking again is safe. The connection's next statement waits for
    /// the answer, and on sqlx it gets the error, where the answer is one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    /// # tokio::spawn(connection);
    /// for lock in pglock::locks().granted(false).fetch_async(&mut client).await? {
    ///     println!("{} waits for {}", lock.activity.pid, lock.mode);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_async<C: AnyAsyncConnection + ?Sized>(
        self,
        connection: &mut C,
    ) -> Result<Vec<R>, Error> {
        self.find(&mut AsyncWire(connection)).await
    }

    async fn find(self, wire: &mut impl ExtendedQuery) -> Result<Vec<R>, Error> {
        refuse_unknown_tables(wire, self.asked.tables.as_deref()).await?;
        let statement = sql::fetch(&self.asked, R::BLOCKED);
        Ok(view::read(&query(wire, &statement).await?))
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
    let unknown = query(wire, &sql::unknown_tables(tables)).await?;
    match unknown.first_row() {
        Some(row) => Err(Error::no_table(row.text(0).unwrap_or_default())),
        None => Ok(()),
    }
}

pub(crate) async fn query(
    wire: &mut impl ExtendedQuery,
    (sql, values): &Statement,
) -> Result<Rows, Error> {
    wire.query(sql, values).await.map_err(Error::look_failed)
}
