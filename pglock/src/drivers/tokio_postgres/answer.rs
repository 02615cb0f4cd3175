//! Statements that are queued now, and their answers.

use std::pin::Pin;

use futures_util::{FutureExt, TryStreamExt};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

use crate::error::Failure;
use crate::sql::Rows;

/// The answer to a statement that was sent. It does not borrow the connection, so it can outlive the call.
pub(crate) struct PendingAnswer(Pin<Box<SimpleQueryStream>>);

impl PendingAnswer {
    /// Waits for the end of the statement.
    ///
    /// Can be dropped and called again; the rows that arrived before the drop are missing then.
    pub(crate) async fn rows(&mut self) -> Result<Rows, Failure> {
        let messages: Vec<SimpleQueryMessage> = self.0.as_mut().try_collect().await?;
        Ok(messages.into())
    }
}

/// Queues the statements at once, behind those queued before. They run even if the answer is dropped.
pub(super) fn send(client: &Client, sql: &str) -> Result<PendingAnswer, Failure> {
    // The driver queues at the first poll of its future, and waits for nothing before that.
    match client.simple_query_raw(sql).now_or_never() {
        Some(stream) => Ok(PendingAnswer(Box::pin(stream?))),
        None => Err(Failure::unexpected_answer()),
    }
}
