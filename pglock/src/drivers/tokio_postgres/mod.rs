//! The async `tokio-postgres` driver.

mod cancel_on_drop;
mod dropped_wait;

use std::pin::Pin;

use futures_util::{FutureExt, TryStreamExt};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream, Transaction};

use super::sealed::Async;
use super::{Answered, AnyAsyncConnection, AsyncConnection, AsyncInTransaction, CleanUp};
use crate::error::Failure;
use crate::sql::Rows;

use dropped_wait::DroppedWait;

/// The answer to a statement that was sent, whoever sent it and wherever the connection is by now.
pub(crate) struct Answer(Pin<Box<SimpleQueryStream>>);

impl Answer {
    /// Waits for the end of the statement.
    ///
    /// Dropped in the middle and called again, it goes on, without the rows that had come before.
    pub(crate) async fn rows(&mut self) -> Result<Rows, Failure> {
        let messages: Vec<SimpleQueryMessage> = self.0.as_mut().try_collect().await?;
        Ok(messages.into())
    }
}

/// Queues the statements now, behind what was queued before; the answer comes whether or not it is awaited.
fn send(client: &Client, sql: &str) -> Result<Answer, Failure> {
    // The driver queues at its future's first poll, and waits for nothing before the answer.
    match client.simple_query_raw(sql).now_or_never() {
        Some(stream) => Ok(Answer(Box::pin(stream?))),
        None => Err(Failure::unexpected_answer()),
    }
}

/// Values with the type that they are bound as: with it the driver asks the server for no types.
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
                Box::pin(cancel_on_drop::simple_query_or($client, sql, clean_up))
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
