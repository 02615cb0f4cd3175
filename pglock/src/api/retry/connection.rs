//! The connections that tries can be made on, for what the compiler says of others.

use crate::drivers::{AsyncConnection, Connection};

/// Every [`Connection`], and nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking connection outside a transaction",
    label = "not a connection on which tries can begin",
    note = "each try begins outside a transaction: take the connection, such as `postgres::Client`, or `diesel::PgConnection` with the feature `diesel`, and begin the transaction in the body",
    note = "pass a pooled connection as `&mut *conn`; in the attribute write `client = **conn` for an argument that is one, and `client = *self.conn` for a field that is a reference; from a pool take a connection first",
    note = "for an async connection use `run_async`, or an `async fn`"
)]
pub trait OutsideTransaction: Connection {}

#[diagnostic::do_not_recommend]
impl<C: Connection + ?Sized> OutsideTransaction for C {}

/// Every [`AsyncConnection`], and nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection outside a transaction",
    label = "not a connection on which tries can begin",
    note = "each try begins outside a transaction: take the connection, such as `tokio_postgres::Client`, or `sqlx::PgConnection` with the feature `sqlx`, and begin the transaction in the body",
    note = "pass a pooled connection as `&mut *conn`, deadpool's as `&mut **conn`; a function with the attribute takes the connection itself, `conn: &mut tokio_postgres::Client`, and its callers pass that; from a pool take a connection first",
    note = "for a blocking connection use `run`, or a plain `fn`"
)]
pub trait AsyncOutsideTransaction: AsyncConnection {}

#[diagnostic::do_not_recommend]
impl<C: AsyncConnection + ?Sized> AsyncOutsideTransaction for C {}
