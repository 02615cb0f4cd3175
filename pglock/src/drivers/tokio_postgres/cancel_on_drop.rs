//! A statement that its caller drops before the answer: it is canceled if it waits for a lock, and undone.

use futures_util::FutureExt;
use tokio_postgres::Client;

use super::answer::{Answer, send};
use super::dropped_wait::DroppedWait;
use crate::background;
use crate::drivers::clean_up::{CancelWait, CleanUp};
use crate::error::Failure;
use crate::sql;
use crate::sql::Rows;

/// Runs it; it is queued at the first poll.
pub(super) async fn simple_query_or(
    client: &Client,
    sql: &str,
    clean_up: CleanUp,
) -> Result<Rows, Failure> {
    let started = match &clean_up.wait {
        Some(wait) => Some(send(client, wait.started)?),
        None => None,
    };
    let mut sent = Sent {
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

struct Sent<'c> {
    client: &'c Client,
    /// Sent before a wait, to see it begin.
    started: Option<Answer>,
    /// `None` once it was awaited.
    answer: Option<Answer>,
    clean_up: CleanUp,
}

impl Sent<'_> {
    /// What can't be sent needn't be: the connection is closed, and the server has released what it held.
    fn send(&self, sql: &str) {
        drop(send(self.client, sql));
    }

    fn end_wait(&self, wait: &CancelWait, started: Answer, mut answer: Answer) {
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
                // Without the thread the wait ends by its own timeout, and what was sent behind it cleans up then.
                let _ = background::spawn(dropped_wait.clean_up());
            }
        }
    }
}

impl Drop for Sent<'_> {
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
