//! A statement whose future may be dropped before the answer: then its wait for a lock is canceled, and its effect undone.
//!
//! For drivers that queue a statement at the first poll of its future, and can send a cancel request.

use futures_util::FutureExt;
use tokio_postgres::CancelToken;

use super::clean_up::{CancelWait, CleanUp};
use super::dropped_wait::{DroppedWait, Watched};
use crate::background;
use crate::error::Failure;
use crate::sql;

/// A connection on which waits can be canceled.
pub(super) trait Cancelable {
    /// Queues the statements at once. Errors don't matter: the connection is closed then, and the server has released its
    /// locks.
    fn queue(&self, sql: &str);

    fn cancel_token(&self) -> CancelToken;
}

/// A statement that was sent.
pub(super) trait Sent {
    type Rows;
    type Error;

    /// Waits for its end. Can be dropped before that and called again.
    fn answer(&mut self) -> impl Future<Output = Result<Self::Rows, Self::Error>> + Send;

    /// What can be seen of it without its connection.
    fn watched(self) -> Watched;
}

/// A statement with its clean-up, which is done if this is dropped before [`done`](CancelOnDrop::done).
pub(super) struct CancelOnDrop<'c, C: Cancelable, S: Sent> {
    connection: &'c C,
    progress: Progress<S>,
    clean_up: CleanUp,
}

enum Progress<S> {
    Runs(S),
    /// The server has answered, and the caller does not know yet.
    Ended {
        well: bool,
    },
    Done,
}

impl<'c, C: Cancelable, S: Sent> CancelOnDrop<'c, C, S> {
    pub(super) fn new(connection: &'c C, sent: S, clean_up: CleanUp) -> Self {
        Self {
            connection,
            progress: Progress::Runs(sent),
            clean_up,
        }
    }

    /// Waits for the answer, once.
    pub(super) async fn answer(&mut self) -> Result<Result<S::Rows, S::Error>, Failure> {
        let Progress::Runs(sent) = &mut self.progress else {
            return Err(Failure::unexpected_answer());
        };
        let answer = sent.answer().await;
        self.progress = Progress::Ended {
            well: answer.is_ok(),
        };
        Ok(answer)
    }

    /// The caller gets to know how it ended.
    pub(super) fn done(mut self) {
        self.progress = Progress::Done;
    }

    fn end_wait(&self, wait: &CancelWait, watched: Watched) {
        for _ in 0..sql::cancel::SLEEPS {
            self.connection.queue(wait.sleep);
            self.recover(wait);
        }
        let dropped_wait = DroppedWait {
            watched,
            cancel: self.connection.cancel_token(),
        };
        // Without pglock's thread nobody cancels: it ends with its slice or timeout, and then the clean-up runs.
        let _ = background::spawn(dropped_wait.clean_up());
    }

    fn recover(&self, wait: &CancelWait) {
        wait.recover
            .into_iter()
            .for_each(|sql| self.connection.queue(sql));
    }
}

impl<C: Cancelable, S: Sent> Drop for CancelOnDrop<'_, C, S> {
    fn drop(&mut self) {
        let (ended_well, sent) = match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Done => return,
            Progress::Ended { well } => (Some(well), None),
            Progress::Runs(mut sent) => {
                let answer = sent.answer().now_or_never();
                (answer.map(|answer| answer.is_ok()), Some(sent))
            }
        };
        if let Some(wait) = &self.clean_up.wait {
            match (ended_well, sent) {
                (Some(true), _) => {}
                (None, Some(sent)) => self.end_wait(wait, sent.watched()),
                (Some(false), _) | (None, None) => self.recover(wait),
            }
        }
        if let Some(undo) = &self.clean_up.undo {
            self.connection.queue(undo);
        }
    }
}
