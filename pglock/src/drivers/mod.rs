//! Connections of the caller's own: what they can be, and what pglock needs of each.

mod abandoned;
mod cancel_on_drop;
#[cfg(feature = "diesel")]
mod diesel;
mod lend;
mod postgres;
mod tokio_postgres;

use std::future::Future;
use std::pin::Pin;

use crate::wire::{BoundWire, Failure, Rows, Wire};

pub(crate) use abandoned::Abandoned;
pub(crate) use cancel_on_drop::CancelOnDrop;
pub(crate) use lend::{lend_async, lend_blocking};
pub(crate) use tokio_postgres::Answer;

/// The rows that an async driver is asked for.
pub(crate) type Answered<'c> = Pin<Box<dyn Future<Output = Result<Rows, Failure>> + Send + 'c>>;

/// A blocking connection outside a transaction, on which a session lock can be taken.
///
/// Implemented by [`postgres::Client`](::postgres::Client), by `diesel::PgConnection` with the feature `diesel`, and by
/// guards that lend one. Pooled objects are passed as `&mut *conn`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no blocking connection on which a session lock can be taken",
    label = "not a blocking connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `postgres::Client`; in a transaction use `acquire_xact`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`; an async connection goes with `on_async`, or with an `async fn`"
)]
pub trait Connection: sealed::Blocking {}

/// Any blocking connection, in a transaction or outside: for settings, and for looking at locks.
///
/// Implemented by all that are [`Connection`] or [`InTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no blocking connection that pglock knows",
    label = "not a blocking connection",
    note = "use `postgres::Client` or `postgres::Transaction`; pass a pooled connection as `&mut *conn`; an async connection goes with the `_async` twin"
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
    note = "an `xact` lock is released by the end of its transaction, so it needs one, such as `postgres::Transaction`; begin it with `client.transaction()?`",
    note = "without a transaction, use `.on(&mut client).acquire()`, or leave out `xact` in the attribute"
)]
pub trait InTransaction: sealed::Blocking {}

/// An async connection outside a transaction, on which a session lock can be taken.
///
/// Implemented by [`tokio_postgres::Client`](::tokio_postgres::Client) and by guards that lend one. It is taken as
/// `&mut`: a session that holds a lock can't be shared by tasks, since each could release it, or run inside it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async connection on which a session lock can be taken",
    label = "not an async connection outside a transaction",
    note = "a session lock needs a connection outside a transaction, such as `tokio_postgres::Client`; in a transaction use `acquire_xact_async`, or `xact` in the attribute",
    note = "pass a pooled connection as `&mut *conn`; a blocking connection goes with `on`, or with a plain `fn`"
)]
pub trait AsyncConnection: sealed::Async {}

/// Any async connection, in a transaction or outside: for settings, and for looking at locks.
///
/// Implemented by all that are [`AsyncConnection`] or [`AsyncInTransaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async connection that pglock knows",
    label = "not an async connection",
    note = "use `tokio_postgres::Client` or `tokio_postgres::Transaction`; pass a pooled connection as `&mut *conn`; a blocking connection goes with the twin without `_async`"
)]
pub trait AnyAsyncConnection: sealed::Async {}

/// An async transaction, whose end releases the lock.
///
/// Implemented by [`tokio_postgres::Transaction`](::tokio_postgres::Transaction).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no async transaction",
    label = "not an async transaction",
    note = "an `xact` lock is released by the end of its transaction, so it needs one, such as `tokio_postgres::Transaction`; begin it with `client.transaction().await?`",
    note = "without a transaction, use `.on_async(&mut client).acquire()`, or leave out `xact` in the attribute"
)]
pub trait AsyncInTransaction: sealed::Async {}

pub(crate) mod sealed {
    use super::{Answer, Answered, Failure, Rows};

    /// What a blocking driver does for pglock.
    pub trait Blocking: Send {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure>;

        /// Runs one statement with bound values, in one round trip: parameters and columns are text.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure>;

        /// Fails where no transaction is open. Most types of transactions say that one is.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        fn expect_transaction(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        #[doc(hidden)]
        fn is_closed(&mut self) -> bool;
    }

    /// What an async driver does for pglock.
    pub trait Async: Send + Sync {
        /// Queues the statement now, behind what was queued before; the answer comes whether or not it is awaited.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        fn send(&self, sql: &str) -> Result<Answer, Failure>;

        /// Runs one statement with bound values, in one round trip: parameters and columns are text.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        fn query<'c>(&'c self, sql: &'c str, values: &'c [String]) -> Answered<'c>;

        #[doc(hidden)]
        fn cancel_token(&self) -> ::tokio_postgres::CancelToken;

        #[doc(hidden)]
        fn is_closed(&self) -> bool;
    }
}

/// A blocking connection in a conversation that is written as an async one: its futures never wait.
pub(crate) struct BlockingWire<'c, C: ?Sized>(pub(crate) &'c mut C);

impl<C: sealed::Blocking + ?Sized> Wire for BlockingWire<'_, C> {
    fn simple_query(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Failure>> + Send {
        std::future::ready(self.0.simple_query(sql))
    }

    fn expect_transaction(&mut self) -> Result<(), Failure> {
        self.0.expect_transaction()
    }
}

impl<C: sealed::Blocking + ?Sized> BoundWire for BlockingWire<'_, C> {
    fn query(
        &mut self,
        sql: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Rows, Failure>> + Send {
        std::future::ready(self.0.query(sql, values))
    }
}

/// An async connection in a conversation.
pub(crate) struct AsyncWire<'c, C: ?Sized>(pub(crate) &'c C);

impl<C: sealed::Async + ?Sized> Wire for AsyncWire<'_, C> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        self.0.send(sql)?.rows().await
    }
}

impl<C: sealed::Async + ?Sized> BoundWire for AsyncWire<'_, C> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        self.0.query(sql, values).await
    }
}
