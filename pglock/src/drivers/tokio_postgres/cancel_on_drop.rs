//! A statement whose future may be dropped before the answer: then its wait for a lock is canceled, and its effect undone.

use futures_util::FutureExt;
use tokio_postgres::Client;

use super::answer::{PendingAnswer, send};
use super::dropped_wait::DroppedWait;
use crate::background;
use crate::drivers::clean_up::{CancelWait, CleanUp};
use crate::error::Failure;
use crate::sql;
use crate::sql::Rows;

/// Runs the statement, which is queued at the first poll.
pub(super) async fn simple_query_or(
    client: &Client,
    sql: &str,
    clean_up: CleanUp,
) -> Result<Rows, Failure> {
    let started = match &clean_up.wait {
        Some(wait) => Some(send(client, wait.started)?),
        None => None,
    };
    let mut sent = CancelOnDrop {
        client,
        started,
        answer: Some(send(client, sql)?),
        clean_up,
    };
    let rows = match &mut sent.answer {
        Some(answer) => answer.rows().await,
        None => Err(Failure::unexpected_answer()),
    };
    sent.answer = None;
    rows
}

/// A statement without an answer yet. Dropping it cancels its wait and queues the undo.
struct CancelOnDrop<'c> {
    client: &'c Client,
    /// Of the statement before the wait, which shows that the wait begins.
    started: Option<PendingAnswer>,
    /// `None` once it has arrived.
    answer: Option<PendingAnswer>,
    clean_up: CleanUp,
}

impl CancelOnDrop<'_> {
    /// Errors don't matter: the connection is closed then, and the server has released its locks.
    fn send(&self, sql: &str) {
        drop(send(self.client, sql));
    }

    fn end_wait(&self, wait: &CancelWait, started: PendingAnswer, mut answer: PendingAnswer) {
        let recover = || wait.recover.into_iter().for_each(|sql| self.send(sql));
        match answer.rows().now_or_never() {
            Some(Ok(_)) => {}
            Some(Err(_)) => recover(),
            None => {
                for _ in 0..sql::cancel::SLEEPS {
                    self.send(wait.sleep);
                    recover();
                }
                let dropped_wait = DroppedWait {
                    started,
                    wait: answer,
                    cancel: self.client.cancel_token(),
                };
                // Without pglock's thread nobody cancels: it ends with its slice or timeout, and then the clean-up runs.
                let _ = background::spawn(dropped_wait.clean_up());
            }
        }
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        if let (Some(wait), Some(started)) = (&self.clean_up.wait, self.started.take()) {
            self.end_wait(wait, started, answer);
        }
        if let Some(undo) = &self.clean_up.undo {
            self.send(undo);
        }
    }
}
