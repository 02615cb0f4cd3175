//! Locks on a connection of the caller's: taking them, and giving them back whatever happens.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_postgres::error::SqlState;

use crate::Error;
use crate::chain::Link;
use crate::drivers::sealed::{Async, Blocking};
use crate::drivers::{Abandoned, Answer, BlockingWire};
use crate::engine;
use crate::key::{Key, LockId};
use crate::options::{Mode, Wait};
use crate::outcome;
use crate::park::block_on;
use crate::protocol::{self, Outcome};
use crate::sql;
use crate::wire::{Failure, Rows, Wire};

/// A lock that is asked for on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: LockId,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) wait: Wait,
    pub(crate) describe_holder: bool,
}

impl Asked {
    pub(crate) fn acquire(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        block_on(self.acquire_session(&mut BlockingWire(connection)))
    }

    pub(crate) fn acquire_xact(
        &self,
        transaction: &mut (impl Blocking + ?Sized),
    ) -> Result<(), Error> {
        block_on(self.acquire_in_transaction(&mut BlockingWire(transaction)))
    }

    pub(crate) fn release(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        let released = block_on(protocol::release_session(
            &mut BlockingWire(connection),
            self.key,
            self.mode,
        ));
        if let outcome::Released::Failed(failure) = &released
            && !failure.session_ended
        {
            // It may be held still, and only the session's end is certain to release it.
            let _ = connection.simple_query(sql::TERMINATE_OWN_SESSION);
        }
        protocol::explain_release(&self.id, released)
    }

    pub(crate) async fn acquire_async(
        &self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        let undo = [sql::release_leftover(self.key, self.mode)];
        let clean_up = CleanUp {
            catch: &sql::CATCH_LATE_CANCEL,
            after_failure: &[],
            undo: &undo,
        };
        self.acquire_session(&mut CancelOnDrop::new(connection, self.wait, clean_up))
            .await
    }

    pub(crate) async fn acquire_xact_async(
        &self,
        transaction: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        // A lock that was granted is the transaction's, and one that was not has left nothing.
        let clean_up = CleanUp {
            catch: &sql::CATCH_LATE_CANCEL_IN_TRANSACTION,
            after_failure: &[sql::UNDO_ACQUIRE_IN_TRANSACTION],
            undo: &[],
        };
        self.acquire_in_transaction(&mut CancelOnDrop::new(transaction, self.wait, clean_up))
            .await
    }

    async fn acquire_session(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_session(wire, self.key, self.mode, self.wait).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy => Err(self.busy(wire).await),
            Outcome::InTransaction => Err(Error::inside_a_transaction(&self.id)),
            Outcome::Failed(failure) => Err(Error::not_acquired(&self.id, failure)),
            Outcome::Doubtful(failure) => {
                // The session may hold the lock, and nobody can tell: only its end is certain to release it.
                let _ = wire.simple_query(sql::TERMINATE_OWN_SESSION).await;
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    async fn acquire_in_transaction(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_in_transaction(wire, self.key, self.mode, self.wait).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy => Err(self.busy(wire).await),
            Outcome::InTransaction => Err(Error::in_aborted_transaction(&self.id)),
            Outcome::Failed(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
                Err(Error::outside_a_transaction(&self.id, failure))
            }
            Outcome::Failed(failure) | Outcome::Doubtful(failure) => {
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    async fn busy(&self, wire: &mut impl Wire) -> Error {
        let holder = if self.describe_holder {
            protocol::holder(wire, self.key).await
        } else {
            None
        };
        Error::busy(&self.id, self.wait, holder)
    }

    /// Sends all that a release takes, at once: nothing after this depends on the caller.
    pub(crate) fn send_release(&self, connection: &(impl Async + ?Sized)) -> SentRelease {
        let ends = sql::END_ANY_TRANSACTION.map(|sql| connection.send(sql));
        let release = connection.send(&sql::release_session_anywhere(self.key, self.mode));
        SentRelease {
            id: self.id.clone(),
            _ends: ends,
            release,
        }
    }
}

/// A release that is on its way.
pub(crate) struct SentRelease {
    id: LockId,
    _ends: [Result<Answer, Failure>; 2],
    release: Result<Answer, Failure>,
}

impl SentRelease {
    pub(crate) async fn confirmed(self) -> Result<(), Error> {
        let answer = match self.release {
            Ok(mut answer) => answer.rows().await,
            Err(failure) => Err(failure),
        };
        protocol::explain_release(&self.id, outcome::of_release(answer))
    }
}

/// What is sent behind a wait that was dropped, before anything that the caller sends.
struct CleanUp<'c> {
    /// Against a cancel that comes late.
    catch: &'c [&'c str],
    /// After a wait that had ended by itself, and failed.
    after_failure: &'c [&'c str],
    /// Against a lock that was granted all the same.
    undo: &'c [String],
}

/// An async connection whose first statement may wait for a lock: dropped in the middle of it, the wait is canceled.
struct CancelOnDrop<'c, C: Async + ?Sized> {
    connection: &'c C,
    clean_up: CleanUp<'c>,
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
    fn new(connection: &'c C, wait: Wait, clean_up: CleanUp<'c>) -> Self {
        Self {
            connection,
            clean_up,
            acquire: Acquire::ToCome {
                waits: wait != Wait::Try,
            },
        }
    }
}

impl<C: Async + ?Sized> Wire for CancelOnDrop<'_, C> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        match self.acquire {
            Acquire::ToCome { waits: true } => {
                let started = self.connection.send("")?;
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
                Some(Err(_)) => self.clean_up.after_failure.iter().copied().for_each(send),
                None => {
                    self.clean_up.catch.iter().copied().for_each(send);
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

/// A call on a connection of the caller's, for those inside it.
pub(crate) fn link() -> Arc<Link> {
    Link::new(None)
}
