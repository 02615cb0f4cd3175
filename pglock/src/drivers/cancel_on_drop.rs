//! An acquire on an async connection of the caller's that may be dropped while it waits.

use futures_util::FutureExt;

use super::sealed::Async;
use super::{Abandoned, Answer};
use crate::engine;
use crate::sql;
use crate::wire::{Failure, Rows, Wire};

/// What is sent behind a wait that was dropped, before anything that the caller sends.
struct CleanUp {
    /// Sent before the wait, to see it begin, and whether there can be one.
    started: &'static str,
    /// Against a cancel that comes late.
    sleep: &'static str,
    /// After a sleep, and after a wait that had ended by itself and failed.
    recover: Option<&'static str>,
    /// Against a lock that was granted all the same.
    undo: Option<String>,
}

/// An async connection whose first statement may wait for a lock: dropped in the middle of it, the wait is canceled.
pub(crate) struct CancelOnDrop<'c, C: Async + ?Sized> {
    connection: &'c C,
    clean_up: CleanUp,
    acquire: Acquire,
}

/// The statement that takes the lock; those after it are about what came of it, and don't wait.
enum Acquire {
    ToCome {
        waits: bool,
    },
    /// `started` was sent before, to see the wait begin.
    Waiting {
        started: Answer,
        wait: Answer,
    },
    Trying {
        attempt: Answer,
    },
    Over,
}

impl<'c, C: Async + ?Sized> CancelOnDrop<'c, C> {
    /// For a session lock, which `leftover` releases if it was granted all the same.
    pub(crate) fn in_session(connection: &'c C, waits: bool, leftover: String) -> Self {
        let clean_up = CleanUp {
            // A transaction begun by hand is refused at once, and must not be aborted by a cancel.
            started: sql::IS_IN_TRANSACTION,
            sleep: sql::SLEEP,
            recover: None,
            undo: Some(leftover),
        };
        Self {
            connection,
            clean_up,
            acquire: Acquire::ToCome { waits },
        }
    }

    /// For a lock in the caller's transaction, which keeps it if it was granted, and can go on if not. `waits` also
    /// where the statement doesn't, but needs its savepoint when it fails.
    pub(crate) fn in_transaction(transaction: &'c C, waits: bool) -> Self {
        let clean_up = CleanUp {
            started: "",
            sleep: sql::SLEEP_IN_TRANSACTION,
            recover: Some(sql::UNDO_ACQUIRE_IN_TRANSACTION),
            undo: None,
        };
        Self {
            connection: transaction,
            clean_up,
            acquire: Acquire::ToCome { waits },
        }
    }
}

impl<C: Async + ?Sized> Wire for CancelOnDrop<'_, C> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        match self.acquire {
            Acquire::ToCome { waits: true } => {
                let started = self.connection.send(self.clean_up.started)?;
                let wait = self.connection.send(sql)?;
                self.acquire = Acquire::Waiting { started, wait };
            }
            Acquire::ToCome { waits: false } => {
                self.acquire = Acquire::Trying {
                    attempt: self.connection.send(sql)?,
                };
            }
            Acquire::Waiting { .. } | Acquire::Trying { .. } | Acquire::Over => {}
        }
        let rows = match &mut self.acquire {
            Acquire::Waiting { wait: answer, .. } | Acquire::Trying { attempt: answer } => {
                answer.rows().await
            }
            Acquire::ToCome { .. } | Acquire::Over => {
                return self.connection.send(sql)?.rows().await;
            }
        };
        self.acquire = Acquire::Over;
        rows
    }
}

impl<C: Async + ?Sized> Drop for CancelOnDrop<'_, C> {
    fn drop(&mut self) {
        // What can't be sent needn't be: the connection is closed, and the server has released what it held.
        let send = |sql: &str| drop(self.connection.send(sql));
        match std::mem::replace(&mut self.acquire, Acquire::Over) {
            Acquire::ToCome { .. } | Acquire::Over => return,
            Acquire::Trying { .. } => {}
            Acquire::Waiting { started, mut wait } => match wait.rows().now_or_never() {
                Some(Ok(_)) => {}
                Some(Err(_)) => self.clean_up.recover.into_iter().for_each(send),
                None => {
                    for _ in 0..sql::SLEEPS {
                        send(self.clean_up.sleep);
                        self.clean_up.recover.into_iter().for_each(send);
                    }
                    let cancel = self.connection.cancel_token();
                    // Without the engine the wait ends by its own timeout, and what was sent behind it cleans up then.
                    let _ = engine::abandon(Abandoned {
                        started,
                        wait,
                        cancel,
                    });
                }
            },
        }
        self.clean_up.undo.iter().map(String::as_str).for_each(send);
    }
}
