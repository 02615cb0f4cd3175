//! The caller's own connections: which types they can be, and what pglock needs from each.

mod cancel_on_drop;
mod clean_up;
#[cfg(any(feature = "diesel", feature = "diesel-async"))]
mod diesel;
mod dropped_wait;
mod lend;
mod postgres;
#[cfg(feature = "sea-orm")]
mod sea_orm;
#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(any(feature = "diesel", feature = "diesel-async", feature = "sea-orm"))]
mod texts;
mod tokio_postgres;
mod wires;

use std::future::Future;
use std::pin::Pin;

use crate::error::Failure;
use crate::sql::Rows;

pub(crate) use clean_up::CleanUp;
pub(crate) use lend::{
    deref_to_connection, forward_async, forward_blocking, lend_async, lend_blocking,
};
pub(crate) use tokio_postgres::query;
pub(crate) use wires::{AsyncReaderWire, AsyncWire, BlockingWire, CleanUpOnDrop};

/// The answer of an async driver.
pub(crate) type Answered<'c> = Pin<Box<dyn Future<Output = Result<Rows, Failure>> + Send + 'c>>;

/// Whether what was expected is so.
pub(crate) type Expected<'c> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'c>>;

/// A blocking connection outside a transaction, which can take a session lock.
///
/// Implemented by [`postgres::Client`](::postgres::Client), by `diesel::PgConnection` with the feature `diesel`, and by
/// guards that lend one. Pass a pooled connection as `&mut *conn`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking connection that can take a session lock",
    label = "not a blocking connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `postgres::Client`, or `diesel::PgConnection` with the feature `diesel`; in a transaction use `acquire_xact`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`; in the attribute write `client = **conn` for an argument that is one, and `client = *self.conn` for a field that is a reference; from a pool take a connection first",
    note = "for an async connection use `on_async`, or an `async fn`"
)]
pub trait Connection: AnyConnection {}

/// Any blocking connection, in a transaction or outside: for settings, and for listing locks.
///
/// Implemented by every [`Connection`] and every [`InTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking connection that pglock supports",
    label = "not a blocking connection",
    note = "use `postgres::Client` or `postgres::Transaction`, or `diesel::PgConnection` with the feature `diesel`; for an async connection use the `_async` form, or an `async fn`",
    note = "pass a pooled connection as `&mut *conn`; in the attribute write `client = **conn` for an argument that is one, and `client = *self.conn` for a field that is a reference; from a pool take a connection first"
)]
pub trait AnyConnection: sealed::Blocking {}

/// A blocking transaction, whose end releases the lock.
///
/// Implemented by [`postgres::Transaction`](::postgres::Transaction), and with the feature `diesel` by
/// `diesel::PgConnection`, which is its own transaction: each call for a lock checks whether one is open.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking transaction",
    label = "not a blocking transaction",
    note = "this lock is released by the end of its transaction, so it needs one, such as `postgres::Transaction`: begin it with `let mut tx = client.transaction()?` and pass `&mut tx`",
    note = "an advisory lock does not need a transaction: use `.on(&mut client).acquire()`, or leave out `xact` in the attribute; a table lock does"
)]
pub trait InTransaction: AnyConnection {}

/// An async connection outside a transaction, which can take a session lock.
///
/// Implemented by [`tokio_postgres::Client`](::tokio_postgres::Client), with the feature `sqlx` by `sqlx::PgConnection`
/// and `sqlx::pool::PoolConnection<sqlx::Postgres>`, with the feature `diesel-async` by `diesel_async::AsyncPgConnection`,
/// and by guards that lend one. pglock takes it as `&mut`, so that tasks cannot share a session that holds a lock: each of
/// them could release it, or run under it.
/// Pass a pooled connection of bb8 or sqlx as `&mut *conn`, of deadpool as `&mut **conn`; where the type is known, as for
/// an argument of an annotated function, `&mut conn` is enough.
///
/// # What `Drop` guarantees
///
/// A future or a guard can be dropped at any point. No lock is left behind, and the next statement on the connection runs
/// after the clean-up. How long that takes depends on the driver:
///
/// | dropped before its end | tokio-postgres, diesel-async | sqlx |
/// | --- | --- | --- |
/// | a guard, or its release | the release is sent at once | the same |
/// | a wait for a lock | it is canceled in the server; the connection's next statement starts up to 0.8 s later | sqlx cannot cancel: the wait ends within twice `deadlock_timeout`, or with the grant, which is released at once; the connection's next statement starts after that |
/// | the same, on a `PoolConnection` that was passed itself | | the connection is closed when it is dropped, and the server ends the wait within a second (Postgres 14 or newer on Linux, 15 elsewhere) |
/// | a wait in a transaction | it is canceled, and the transaction continues | it ends with its timeout, or with the grant; after a grant the transaction holds the lock, after a timeout it is aborted |
/// | the scope of a lock timeout | the old timeout is restored at once | the same; in a transaction, if another statement was dropped before it, the timeout stays until the transaction ends |
///
/// A transaction of diesel-async that is dropped, as with the future of `transaction(..)`, is left open in the server and
/// keeps its locks: that is the driver's, and its pools close such a connection. If it is dropped inside a session lock, it
/// is rolled back before the lock is released.
///
/// With sqlx, also note:
///
/// - sqlx reports the error of a dropped statement to the next statement. After a dropped wait that may have timed out,
///   call `ping` first and ignore its error; pglock's own calls do that for you.
/// - sqlx sends the `ROLLBACK` of a dropped transaction with the next use of the connection, or when the connection returns
///   to its pool. Until then the transaction keeps its locks: call `ping`, or end the transaction with `rollback()`.
/// - A `begin()` that was dropped, or that failed because of an earlier statement, may have begun a transaction that sqlx
///   does not know of. Close the connection then; pglock refuses a session lock on it.
/// - A transaction that was begun by hand, without `begin()`, may be rolled back when a call is dropped inside it. Its
///   statements then fail and say so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection that can take a session lock",
    label = "not an async connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `tokio_postgres::Client`, `sqlx::PgConnection` with the feature `sqlx`, or `AsyncPgConnection` with the feature `diesel-async`; in a transaction use `acquire_xact_async`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; a function with the attribute takes the connection itself, `conn: &mut tokio_postgres::Client`, and its callers pass that; from a pool take a connection first",
    note = "for a blocking connection use `on`, or a plain `fn`"
)]
pub trait AsyncConnection: AnyAsyncConnection {}

/// Any async connection, in a transaction or outside: for settings, and for listing locks.
///
/// Implemented by every [`AsyncConnection`] and every [`AsyncInTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection that pglock supports",
    label = "not an async connection",
    note = "use `tokio_postgres::Client` or `tokio_postgres::Transaction`, or those of `sqlx` or `diesel-async` with the feature of that name; for a blocking connection use the form without `_async`, or a plain `fn`",
    note = "pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; a function with the attribute takes the connection itself, `conn: &mut tokio_postgres::Client`, and its callers pass that; from a pool take a connection first"
)]
pub trait AnyAsyncConnection: sealed::Async {}

/// What `fetch_async` asks: it only reads, so the connection may be shared.
///
/// Implemented by every [`AnyAsyncConnection`], and by `&tokio_postgres::Client`, `&tokio_postgres::Transaction` and
/// `&diesel_async::AsyncPgConnection`, which are passed as `&mut &client`, like a `&File` that is read. Statements on a shared client are answered in the order in which
/// they were sent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection that pglock can read from",
    label = "not an async connection",
    note = "use `tokio_postgres::Client` or `tokio_postgres::Transaction`, a shared one as `&mut &client`, or those of `sqlx` or `diesel-async` with the feature of that name; pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; for a blocking connection use the form without `_async`, or a plain `fn`"
)]
pub trait AsyncReader: sealed::AsyncRead {}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + ?Sized> AsyncReader for C {}

#[diagnostic::do_not_recommend]
impl<C: AnyAsyncConnection + ?Sized> sealed::AsyncRead for C {
    fn read<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        self.query(sql, values)
    }
}

/// An async transaction, whose end releases the lock.
///
/// Implemented by [`tokio_postgres::Transaction`](::tokio_postgres::Transaction), with the feature `sqlx` by
/// `sqlx::Transaction<'_, sqlx::Postgres>`: pass it as `&mut tx`, not as `&mut *tx`. With the feature `sea-orm` by
/// `sea_orm::DatabaseTransaction`, which is passed as `&mut txn`, or as `&mut &*txn` where it is shared, as in
/// `transaction(|txn| ..)`; dropped waits are as with sqlx. With the feature `diesel-async` by
/// `diesel_async::AsyncPgConnection`, which is its own transaction: each call for a lock checks whether one is open.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async transaction",
    label = "not an async transaction",
    note = "this lock is released by the end of its transaction, so it needs one, such as `tokio_postgres::Transaction`: begin it with `let mut tx = client.transaction().await?` and pass `&mut tx`; with the feature `sqlx`, pass its transaction as `&mut tx` too, not as `&mut *tx`",
    note = "an advisory lock does not need a transaction: use `.on_async(&mut client).acquire()`, or leave out `xact` in the attribute; a table lock does"
)]
pub trait AsyncInTransaction: AnyAsyncConnection {}

pub(crate) mod sealed {
    use super::{Answered, CleanUp, Expected, Failure, Rows};

    /// What pglock needs from a blocking driver.
    pub trait Blocking: Send {
        #[doc(hidden)]
        fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure>;

        /// Runs one statement with bound values, in one round trip: parameters and columns are text.
        #[doc(hidden)]
        fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure>;

        /// Fails when no transaction is open. Only drivers whose type does not prove an open transaction implement it.
        #[doc(hidden)]
        fn expect_transaction(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        #[doc(hidden)]
        fn is_closed(&mut self) -> bool;
    }

    /// What pglock needs from an async driver.
    ///
    /// Statements are answered in the order in which they are sent. A statement is sent when its future is first polled,
    /// unless it has to wait behind a dropped one. Dropping the future afterwards drops only the answer.
    pub trait Async: Send + Sync {
        /// Sends the statements in the simple protocol and returns their rows.
        #[doc(hidden)]
        fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c>;

        /// Runs one statement with bound values: parameters and columns are text.
        #[doc(hidden)]
        fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c>;

        /// Like `simple_query`, with a clean-up for a future that is dropped after the sending and before the answer.
        #[doc(hidden)]
        fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c>;

        /// Queues the statements at once, behind those sent before, and discards their answer.
        #[doc(hidden)]
        fn queue(&mut self, sql: &str);

        /// Like `expect_transaction` of [`Blocking`].
        #[doc(hidden)]
        fn expect_transaction(&mut self) -> Expected<'_> {
            Box::pin(std::future::ready(Ok(())))
        }

        #[doc(hidden)]
        fn is_closed(&self) -> bool;
    }

    /// What pglock needs from an async driver to read.
    pub trait AsyncRead: Send {
        /// Like `query` of [`Async`].
        #[doc(hidden)]
        fn read<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c>;
    }
}
