//! What it takes to send a session statements, for the thread that has exclusive use of it: pglock's, or that of a caller
//! that has borrowed the session.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio_postgres::Client;

use super::batch::{self, BatchEnd, Statements};
use super::driver::{Borrower, SharedDriver};
use super::held::HeldLocks;
use super::last_answer::LastAnswer;
use super::stamp::Stamp;
use crate::engine::ids::SessionState;
use crate::engine::ledger::Op;
use crate::model::backend::Backend;

pub(in crate::engine) struct SessionLink {
    pub(super) client: Client,
    pub(super) backend: Backend,
    pub(super) statements: Statements,
    pub(super) exclusive: Arc<Mutex<()>>,
    pub(super) driver: Arc<SharedDriver>,
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
    /// Runs operations that don't wait; see [`batch::run`].
    pub(super) async fn run_batch(&self, ops: &[Op], answers: &mut Vec<bool>) -> BatchEnd {
        let (client, statements) = (&self.client, &self.statements);
        let ran = batch::run(client, statements, self.backend.pid, ops, answers).await;
        self.last_answer.note(&ran);
        batch::end(ran, answers.len() == ops.len())
    }

    pub(in crate::engine) fn backend(&self) -> Backend {
        self.backend
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
        borrower == Borrower::Thread || self.driver.is_quick()
    }

    /// Lends the session to the thread that calls this, unless it is in use.
    pub(in crate::engine) fn lend(self: &Arc<Self>, borrower: Borrower) -> Option<Borrowed> {
        let permit = Arc::clone(&self.exclusive).try_lock_owned().ok()?;
        if *self.state.borrow() != SessionState::Open || self.client.is_closed() {
            return None;
        }
        let is_first = self.driver.lend()?;
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
        let done = self.link.driver.drive(self.borrower, batch.as_mut());
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
