//! Connections of the caller's own: what they can be, and what pglock needs of each.

mod clean_up;
#[cfg(feature = "diesel")]
mod diesel;
mod lend;
mod postgres;
#[cfg(feature = "sqlx")]
mod sqlx;
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
pub(crate) use wires::{AsyncWire, BlockingWire, CleanUpOnDrop};

/// The rows that an async driver is asked for.
pub(crate) type Answered<'c> = Pin<Box<dyn Future<Output = Result<Rows, Failure>> + Send + 'c>>;

/// A blocking connection outside a transaction, on which a session lock can be taken.
///
/// Implemented by [`postgres::Client`](::postgres::Client), by `diesel::PgConnection` with the feature `diesel`, and by
/// guards that lend one. Pooled objects are passed as `&mut *conn`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no blocking connection on which a session lock can be taken",
    label = "not a blocking connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `postgres::Client`, or `diesel::PgConnection` with the feature `diesel`; in a transaction use `acquire_xact`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`; an async connection goes with `on_async`, or with an `async fn`"
)]
pub trait Connection: AnyConnection {}

/// Any blocking connection, in a transaction or outside: for settings, and for looking at locks.
///
/// Implemented by all that are [`Connection`] or [`InTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no blocking connection that pglock knows",
    label = "not a blocking connection",
    note = "use `postgres::Client` or `postgres::Transaction`, or `diesel::PgConnection` with the feature `diesel`; pass a pooled connection as `&mut *conn`; an async connection goes with the `_async` twin, or with an `async fn`"
)]
pub trait AnyConnection: sealed::Blocking {}

/// A blocking transaction, whose end releases the lock.
///
/// Implemented by [`postgres::Transaction`](::postgres::Transaction), and with the feature `diesel` by
/// `diesel::PgConnection`, which is its own transaction: there it is looked up, as the lock is asked for, whether one is
/// open.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no blocking transaction",
    label = "not a blocking transaction",
    note = "this lock is released by the end of its transaction, so it needs one, such as `postgres::Transaction`: begin it with `let mut tx = client.transaction()?` and pass `&mut tx`",
    note = "an advisory lock can do without: use `.on(&mut client).acquire()`, or leave out `xact` in the attribute; a lock on a table can't"
)]
pub trait InTransaction: AnyConnection {}

/// An async connection outside a transaction, on which a session lock can be taken.
///
/// Implemented by [`tokio_postgres::Client`](::tokio_postgres::Client), with the feature `sqlx` by `sqlx::PgConnection`
/// and `sqlx::pool::PoolConnection<sqlx::Postgres>`, and by guards that lend one. It is taken as
/// `&mut`: a session that holds a lock can't be shared by tasks, since each could release it, or run inside it.
/// Objects of bb8 and sqlx are passed as `&mut *conn`, those of deadpool as `&mut **conn`; where the type is known,
/// as for an argument of an annotated function, `&mut conn` is enough.
///
/// # What `Drop` guarantees
///
/// Whatever is dropped, and wherever: no lock is left behind, and what comes next on the connection comes after it.
/// The drivers differ in when that is:
///
/// | dropped half-way | tokio-postgres | sqlx |
/// | --- | --- | --- |
/// | a guard, or its release | the release is sent at once | the same |
/// | a wait for a lock | it is canceled in the server; the connection's next statement is up to 0.8 s later | sqlx can't cancel: it ends when it is granted, which is then released at once, or with its timeout, and the connection's next statement waits for that |
/// | the same on a `PoolConnection` that is passed itself | | the connection is closed when it is dropped, and the server ends the wait within a second (Postgres 14 or newer, on Linux; elsewhere 15) |
/// | a wait in a transaction | it is canceled, and the transaction goes on | it ends as above; granted, the lock is the transaction's; timed out, the transaction is aborted |
/// | a lock timeout's scope | what puts it back is sent at once | the same; in a transaction, behind a statement that was dropped too, it stays to the transaction's end |
///
/// sqlx hands the error of a statement that was dropped to the one that comes next. So, after a dropped wait that may
/// have timed out, `ping` the connection first, and expect an error; pglock's own calls do as much. And it sends the
/// `ROLLBACK` of a transaction that is dropped with the next use of the connection, or as that goes back to its pool; the
/// locks of the transaction stay until then. So `ping` a connection that you keep, or end the transaction by `rollback()`. A
/// `begin()` that was dropped, or failed for a statement before it, may have begun one that sqlx doesn't know of: close the
/// connection; a session lock is refused on it. A transaction that
/// was begun by hand (not by `begin()`) on an sqlx connection may be rolled back when a call is dropped in it, and then
/// says so at each statement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async connection on which a session lock can be taken",
    label = "not an async connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `tokio_postgres::Client`, or `sqlx::PgConnection` with the feature `sqlx`; in a transaction use `acquire_xact_async`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; a blocking connection goes with `on`, or with a plain `fn`"
)]
pub trait AsyncConnection: AnyAsyncConnection {}

/// Any async connection, in a transaction or outside: for settings, and for looking at locks.
///
/// Implemented by all that are [`AsyncConnection`] or [`AsyncInTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async connection that pglock knows",
    label = "not an async connection",
    note = "use `tokio_postgres::Client` or `tokio_postgres::Transaction`, or those of `sqlx` with the feature `sqlx`; pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; a blocking connection goes with the twin without `_async`, or with a plain `fn`"
)]
pub trait AnyAsyncConnection: sealed::Async {}

/// An async transaction, whose end releases the lock.
///
/// Implemented by [`tokio_postgres::Transaction`](::tokio_postgres::Transaction), and with the feature `sqlx` by
/// `sqlx::Transaction<'_, sqlx::Postgres>`, which is passed as `&mut tx`, and not as `&mut *tx`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async transaction",
    label = "not an async transaction",
    note = "this lock is released by the end of its transaction, so it needs one, such as `tokio_postgres::Transaction`: begin it with `let mut tx = client.transaction().await?` and pass `&mut tx`; sqlx's is passed so too, not as `&mut *tx`, with the feature `sqlx`",
    note = "an advisory lock can do without: use `.on_async(&mut client).acquire()`, or leave out `xact` in the attribute; a lock on a table can't"
)]
pub trait AsyncInTransaction: AnyAsyncConnection {}

pub(crate) mod sealed {
    use super::{Answered, CleanUp, Failure, Rows};

    /// What a blocking driver does for pglock.
    pub trait Blocking: Send {
        #[doc(hidden)]
        fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure>;

        /// Runs one statement with bound values, in one round trip: parameters and columns are text.
        #[doc(hidden)]
        fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure>;

        /// Fails where no transaction is open. Most types of transactions say that one is.
        #[doc(hidden)]
        fn expect_transaction(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        #[doc(hidden)]
        fn is_closed(&mut self) -> bool;
    }

    /// What an async driver does for pglock.
    ///
    /// Statements are answered in the order in which they are sent. A statement whose future was polled, and that was
    /// not behind one that was dropped, is sent: dropping the future drops only its answer.
    pub trait Async: Send + Sync {
        /// Sends the statements by the simple protocol; their rows.
        #[doc(hidden)]
        fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c>;

        /// Runs one statement with bound values: parameters and columns are text.
        #[doc(hidden)]
        fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c>;

        /// Like `simple_query`; dropped between the sending and the answer, it is cleaned up.
        #[doc(hidden)]
        fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c>;

        /// Queues the statements now, behind what was sent before; nobody learns their answer.
        #[doc(hidden)]
        fn queue(&mut self, sql: &str);

        #[doc(hidden)]
        fn is_closed(&self) -> bool;
    }
}
