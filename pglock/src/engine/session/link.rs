//! What it takes to send a session statements, for the thread that has exclusive use of it: pglock's, or that of a caller
//! that has borrowed the session.

#[cfg(feature = "testing")]
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "testing")]
use std::task::{Context, Poll, Waker};

#[cfg(feature = "testing")]
use tokio::sync::oneshot;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio_postgres::Client;

use super::batch::{self, BatchEnd, Statements};
use super::connection::ClientWire;
use super::driver::{Borrower, SharedDriver};
use super::held::HeldLocks;
use super::last_answer::LastAnswer;
use super::stamp::Stamp;
use crate::database::Database;
use crate::engine::ids::SessionState;
use crate::engine::ledger::Op;
use crate::error::Failure;
use crate::model::backend::Backend;
use crate::sql::Rows;
use crate::wire::{ExtendedQuery, SimpleQuery};

/// Who answers what is asked on a session.
#[cfg_attr(
    feature = "testing",
    expect(
        clippy::large_enum_variant,
        reason = "there are few sessions, and nearly all are of that variant"
    )
)]
pub(super) enum Peer {
    Postgres {
        client: Client,
        statements: Statements,
        driver: Arc<SharedDriver>,
    },
    /// Nobody: each lock is granted, since the ledger asks for none that this process has, and there is no other process. The
    /// session's task lasts as long as this.
    #[cfg(feature = "testing")]
    InProcess(#[expect(dead_code, reason = "its end is waited for")] oneshot::Sender<Infallible>),
}

impl Peer {
    pub(super) fn is_server(&self) -> bool {
        match self {
            Self::Postgres { .. } => true,
            #[cfg(feature = "testing")]
            Self::InProcess(_) => false,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Postgres { client, .. } => client.is_closed(),
            #[cfg(feature = "testing")]
            Self::InProcess(_) => false,
        }
    }

    /// Cancels what it does now, by a cancel request.
    pub(super) async fn request_cancel(&self, database: &Database) {
        match self {
            Self::Postgres { client, .. } => database.cancel(&client.cancel_token()).await,
            #[cfg(feature = "testing")]
            Self::InProcess(_) => {}
        }
    }

    /// Has the session's task drive it again.
    pub(super) fn take_back(&self) {
        match self {
            Self::Postgres { driver, .. } => driver.take_back(),
            #[cfg(feature = "testing")]
            Self::InProcess(_) => {}
        }
    }

    /// Like [`SharedDriver::lend`].
    fn lend(&self) -> Option<bool> {
        match self {
            Self::Postgres { driver, .. } => driver.lend(),
            #[cfg(feature = "testing")]
            Self::InProcess(_) => Some(false),
        }
    }

    /// Whether an answer is expected while a task spins.
    fn is_quick(&self) -> bool {
        match self {
            Self::Postgres { driver, .. } => driver.is_quick(),
            #[cfg(feature = "testing")]
            Self::InProcess(_) => true,
        }
    }

    /// Like [`SharedDriver::drive`].
    fn drive(
        &self,
        borrower: Borrower,
        batch: Pin<&mut (dyn Future<Output = BatchDone> + Send)>,
    ) -> Option<BatchDone> {
        match self {
            Self::Postgres { driver, .. } => driver.drive(borrower, batch),
            #[cfg(feature = "testing")]
            Self::InProcess(_) => match batch.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            },
        }
    }

    /// Runs operations that don't wait; see [`batch::run`].
    async fn run(&self, pid: i32, ops: &[Op], answers: &mut Vec<bool>) -> Result<(), Failure> {
        match self {
            Self::Postgres {
                client, statements, ..
            } => batch::run(client, statements, pid, ops, answers).await,
            #[cfg(feature = "testing")]
            Self::InProcess(_) => {
                answers.resize(ops.len(), true);
                Ok(())
            }
        }
    }
}

/// Statements in their text.
pub(super) struct PeerWire<'s> {
    pub(super) peer: &'s Peer,
    pub(super) last_answer: &'s LastAnswer,
}

impl SimpleQuery for PeerWire<'_> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        match self.peer {
            Peer::Postgres { client, .. } => {
                let mut wire = ClientWire {
                    client,
                    last_answer: self.last_answer,
                };
                wire.simple_query(sql).await
            }
            #[cfg(feature = "testing")]
            Peer::InProcess(_) => Err(nobody_to_ask()),
        }
    }
}

impl ExtendedQuery for PeerWire<'_> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        match self.peer {
            Peer::Postgres { client, .. } => {
                let mut wire = ClientWire {
                    client,
                    last_answer: self.last_answer,
                };
                wire.query(sql, values).await
            }
            #[cfg(feature = "testing")]
            Peer::InProcess(_) => Err(nobody_to_ask()),
        }
    }
}

#[cfg(feature = "testing")]
fn nobody_to_ask() -> Failure {
    Failure::refused("there is no server")
}

pub(in crate::engine) struct SessionLink {
    pub(super) peer: Peer,
    pub(super) backend: Backend,
    pub(super) exclusive: Arc<Mutex<()>>,
    pub(super) state: watch::Receiver<SessionState>,
    pub(super) held_locks: Arc<HeldLocks>,
    pub(super) last_answer: Arc<LastAnswer>,
    /// When the last conversation began or ended.
    pub(super) last_used: Stamp,
    pub(super) loans: AtomicU64,
}

/// What became of a borrower's batch.
pub(in crate::engine) struct BatchDone {
    pub(in crate::engine) answers: Vec<bool>,
    pub(in crate::engine) end: BatchEnd,
}

/// A batch that has been begun.
pub(in crate::engine) type BatchFuture = Pin<Box<dyn Future<Output = BatchDone> + Send>>;

impl SessionLink {
    /// Runs operations that don't wait.
    pub(super) async fn run_batch(&self, ops: &[Op], answers: &mut Vec<bool>) -> BatchEnd {
        let ran = self.peer.run(self.backend.pid, ops, answers).await;
        self.last_answer.note(&ran);
        batch::end(ran, answers.len() == ops.len())
    }

    pub(in crate::engine) fn backend(&self) -> Backend {
        self.backend
    }

    /// What callers are told of the process that has its locks: its backend, or where there is none, this one.
    pub(in crate::engine) fn shown_pid(&self) -> i32 {
        match self.peer {
            Peer::Postgres { .. } => self.backend.pid,
            #[cfg(feature = "testing")]
            Peer::InProcess(_) => std::process::id().cast_signed(),
        }
    }

    pub(in crate::engine) fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// The locks that it holds.
    pub(in crate::engine) fn held_locks(&self) -> &Arc<HeldLocks> {
        &self.held_locks
    }

    /// How often it has been borrowed.
    pub(in crate::engine) fn loans(&self) -> u64 {
        self.loans.load(Ordering::Relaxed)
    }

    /// Whether an answer is expected within the borrower's patience.
    pub(in crate::engine) fn is_quick_for(&self, borrower: Borrower) -> bool {
        borrower == Borrower::Thread || self.peer.is_quick()
    }

    /// Lends the session to the thread that calls this, unless it is in use.
    pub(in crate::engine) fn lend(self: &Arc<Self>, borrower: Borrower) -> Option<Borrowed> {
        let permit = Arc::clone(&self.exclusive).try_lock_owned().ok()?;
        if *self.state.borrow() != SessionState::Open || self.peer.is_closed() {
            return None;
        }
        let is_first = self.peer.lend()?;
        self.loans.fetch_add(1, Ordering::Relaxed);
        self.last_used.renew();
        Some(Borrowed {
            link: Arc::clone(self),
            permit,
            borrower,
            is_first,
        })
    }
}

/// A session that is lent to the thread of a caller, for one batch.
pub(in crate::engine) struct Borrowed {
    link: Arc<SessionLink>,
    permit: OwnedMutexGuard<()>,
    borrower: Borrower,
    /// Whether pglock's thread waited for its socket until then.
    pub(in crate::engine) is_first: bool,
}

/// A batch that a borrower has begun.
pub(in crate::engine) enum Begun {
    Done(BatchDone),
    /// The server takes too long.
    Unfinished(BatchFuture),
}

impl Borrowed {
    pub(in crate::engine) fn link(&self) -> &Arc<SessionLink> {
        &self.link
    }

    /// Runs operations on this thread, as far as they get in a moment.
    pub(in crate::engine) fn run_batch(&self, ops: Vec<Op>) -> Begun {
        let link = Arc::clone(&self.link);
        let mut batch: BatchFuture = Box::pin(async move {
            let mut answers = Vec::with_capacity(ops.len());
            let end = link.run_batch(&ops, &mut answers).await;
            BatchDone { answers, end }
        });
        let done = self.link.peer.drive(self.borrower, batch.as_mut());
        self.link.last_used.renew();
        match done {
            Some(done) => Begun::Done(done),
            None => Begun::Unfinished(batch),
        }
    }

    /// The exclusive use of the session, to be handed to pglock's thread.
    pub(in crate::engine) fn into_permit(self) -> OwnedMutexGuard<()> {
        self.permit
    }
}
