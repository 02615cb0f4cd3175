//! The async `tokio-postgres` driver.

mod answer;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

use super::sealed::{Async, AsyncRead};
use super::{
    Answered, AnyAsyncConnection, AsyncConnection, AsyncInTransaction, AsyncReader, CleanUp,
};

use answer::{send, simple_query_or};

/// Values with their type, which saves the driver a round trip to ask the server for it.
pub(in crate::drivers) fn as_text(values: &[String]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values
        .iter()
        .map(|value| (value as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

#[diagnostic::do_not_recommend]
impl AsyncConnection for Client {}

#[diagnostic::do_not_recommend]
impl AsyncInTransaction for Transaction<'_> {}

/// Implements a connection by statements on its client.
macro_rules! on_client {
    ($connection:ty, |$this:ident| $client:expr) => {
        #[diagnostic::do_not_recommend]
        impl AnyAsyncConnection for $connection {}

        #[diagnostic::do_not_recommend]
        impl AsyncReader for &$connection {}

        impl AsyncRead for &$connection {
            fn read<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
                let $this = &**self;
                query($client, sql, values)
            }
        }

        impl Async for $connection {
            fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c> {
                let $this = &*self;
                let client: &Client = $client;
                Box::pin(async move { send(client, sql)?.rows().await })
            }

            fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
                let $this = &*self;
                query($client, sql, values)
            }

            fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c> {
                let $this = &*self;
                Box::pin(simple_query_or($client, sql, clean_up))
            }

            fn queue(&mut self, sql: &str) {
                let $this = &*self;
                drop(send($client, sql));
            }

            fn is_closed(&self) -> bool {
                let $this = self;
                Client::is_closed($client)
            }
        }
    };
}

on_client!(Client, |client| client);
on_client!(Transaction<'_>, |transaction| transaction.client());

/// Runs one statement with bound values.
pub(crate) fn query<'c>(client: &'c Client, sql: &'c str, values: &'c [String]) -> Answered<'c> {
    Box::pin(async move { client.query_typed(sql, &as_text(values)).await?.try_into() })
}
