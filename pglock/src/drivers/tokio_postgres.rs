//! The async `tokio-postgres` driver.

use std::future::Future;
use std::pin::Pin;

use futures_util::{FutureExt, TryStreamExt};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, SimpleQueryMessage, SimpleQueryStream, Transaction};

use super::sealed::Async;
use super::{Answered, AnyAsyncConnection, AsyncConnection, AsyncInTransaction};
use crate::wire::{Failure, Rows};

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

/// Polls once: the driver queues a statement at its future's first poll, and waits for nothing before the answer.
fn queue(
    query: impl Future<Output = Result<SimpleQueryStream, tokio_postgres::Error>>,
) -> Result<Answer, Failure> {
    match query.now_or_never() {
        Some(stream) => Ok(Answer(Box::pin(stream?))),
        None => Err(Failure::unexpected_answer()),
    }
}

/// Values with the type that they are bound as: with it the driver asks the server for no types.
pub(super) fn as_text(values: &[String]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values
        .iter()
        .map(|value| (value as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

#[diagnostic::do_not_recommend]
impl AsyncConnection for Client {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for Client {}

#[expect(private_interfaces, reason = "nobody outside can name this trait")]
impl Async for Client {
    fn send(&self, sql: &str) -> Result<Answer, Failure> {
        queue(self.simple_query_raw(sql))
    }

    fn query<'c>(&'c self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        Box::pin(async move { self.query_typed(sql, &as_text(values)).await?.try_into() })
    }

    fn cancel_token(&self) -> CancelToken {
        Client::cancel_token(self)
    }

    fn is_closed(&self) -> bool {
        Client::is_closed(self)
    }
}

#[diagnostic::do_not_recommend]
impl AsyncInTransaction for Transaction<'_> {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for Transaction<'_> {}

#[expect(private_interfaces, reason = "nobody outside can name this trait")]
impl Async for Transaction<'_> {
    fn send(&self, sql: &str) -> Result<Answer, Failure> {
        queue(self.client().simple_query_raw(sql))
    }

    fn query<'c>(&'c self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        Async::query(self.client(), sql, values)
    }

    fn cancel_token(&self) -> CancelToken {
        Transaction::cancel_token(self)
    }

    fn is_closed(&self) -> bool {
        self.client().is_closed()
    }
}
