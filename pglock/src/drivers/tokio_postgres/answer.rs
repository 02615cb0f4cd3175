//! Statements that are queued now, and their answers.

use std::pin::Pin;

use futures_util::{FutureExt, TryStreamExt};
use tokio_postgres::{CancelToken, Client, SimpleQueryMessage, SimpleQueryStream};

use crate::drivers::cancel_on_drop::{CancelOnDrop, Cancelable, Sent};
use crate::drivers::clean_up::CleanUp;
use crate::drivers::dropped_wait::Watched;
use crate::error::Failure;
use crate::sql::Rows;

/// The answer to a statement that was sent. It does not borrow the connection, so it can outlive the call.
pub(super) struct PendingAnswer(Pin<Box<SimpleQueryStream>>);

impl PendingAnswer {
    /// Waits for the end of the statement.
    ///
    /// Can be dropped and called again; the rows that arrived before the drop are missing then.
    pub(super) async fn rows(&mut self) -> Result<Rows, Failure> {
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

/// Runs the statement, which is queued at the first poll, with its clean-up if it is dropped before the answer.
pub(super) async fn simple_query_or(
    client: &Client,
    sql: &str,
    clean_up: CleanUp,
) -> Result<Rows, Failure> {
    let started = match &clean_up.wait {
        Some(wait) => Some(send(client, wait.started)?),
        None => None,
    };
    let answer = send(client, sql)?;
    let mut sent = CancelOnDrop::new(client, SentBehind { started, answer }, clean_up);
    let rows = sent.answer().await;
    sent.done();
    rows?
}

/// A statement, and the one before it, which shows that the wait begins.
struct SentBehind {
    started: Option<PendingAnswer>,
    answer: PendingAnswer,
}

impl Sent for SentBehind {
    type Rows = Rows;
    type Error = Failure;

    fn answer(&mut self) -> impl Future<Output = Result<Rows, Failure>> + Send {
        self.answer.rows()
    }

    fn watched(mut self) -> Watched {
        let mut started = self.started;
        Watched {
            begins: Box::pin(async move {
                let Some(started) = &mut started else {
                    return false;
                };
                matches!(started.rows().await, Ok(rows) if rows.last_bool() != Some(true))
            }),
            ends: Box::pin(async move { drop(self.answer.rows().await) }),
        }
    }
}

impl Cancelable for Client {
    fn queue(&self, sql: &str) {
        drop(send(self, sql));
    }

    fn cancel_token(&self) -> CancelToken {
        Client::cancel_token(self)
    }
}
