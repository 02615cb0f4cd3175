//! Statements that are queued now, and their answers.

use std::pin::Pin;

use futures_util::{FutureExt, TryStreamExt};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

use crate::error::Failure;
use crate::sql::Rows;

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
pub(super) fn send(client: &Client, sql: &str) -> Result<Answer, Failure> {
    // The driver queues at its future's first poll, and waits for nothing before the answer.
    match client.simple_query_raw(sql).now_or_never() {
        Some(stream) => Ok(Answer(Box::pin(stream?))),
        None => Err(Failure::unexpected_answer()),
    }
}
