//! A lock that is held on a session of pglock's own, as its holder sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::ids::{HoldId, SessionId, SessionState};
use super::lock::DatabaseLock;
use super::release;
use super::state::State;
use crate::background::{self, OwnerProcess};
use crate::error::Error;
use crate::model::hold_limits::HoldLimits;
use crate::telemetry::{HoldRecord, HoldSpan};

/// A lock that was granted. Dropping it releases it, at the end of the time for which it is to be kept, without waiting
/// for that.
pub(crate) struct HeldLock {
    pub(crate) lock: DatabaseLock,
    pub(crate) session: SessionId,
    pub(crate) id: HoldId,
    state: watch::Receiver<SessionState>,
    /// The thread that granted it, which alone can release it.
    thread: background::Handle,
    process: OwnerProcess,
    released: AtomicBool,
    received: Instant,
    limits: HoldLimits,
    record: Arc<HoldRecord>,
}

impl HeldLock {
    pub(crate) fn new(
        lock: DatabaseLock,
        id: HoldId,
        session: SessionId,
        state: watch::Receiver<SessionState>,
        record: Arc<HoldRecord>,
    ) -> Self {
        Self {
            lock,
            session,
            id,
            state,
            thread: background::Handle::current(),
            process: OwnerProcess::current(),
            released: AtomicBool::new(false),
            received: Instant::now(),
            limits: HoldLimits::default(),
            record,
        }
    }

    /// Given to its holder, for as long as the limits say from now on.
    pub(crate) fn with_limits(mut self, limits: HoldLimits) -> Self {
        self.received = Instant::now();
        self.limits = limits;
        self
    }

    /// What the body runs in.
    pub(crate) fn span(&self) -> HoldSpan {
        self.record.span()
    }

    fn keep_until(&self) -> Option<Instant> {
        self.limits.at_least.map(|least| self.received + least)
    }

    fn stop_at(&self) -> Option<Instant> {
        self.limits.at_most.map(|most| self.received + most)
    }

    /// Whether this process was granted it, and didn't get it from its parent by a fork.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    fn lost(&self, why: &str) -> Error {
        Error::lost(&self.lock.id, why)
    }

    /// Begins the release; whether the thread is there to do it.
    fn send_release(&self, reply: Option<release::Reply>) -> bool {
        let (id, keep_until) = (self.id, self.keep_until());
        self.thread
            .run(move || release::begin(&State::here(), id, keep_until, reply))
    }

    /// `Lost` once the session is known to have ended, or the lock was held for too long; no SQL.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_session()?;
        match self.stop_at() {
            Some(stop_at) if Instant::now() >= stop_at => Err(Error::held_past_limit(
                &self.lock.id,
                self.limits.at_most.unwrap_or_default(),
            )),
            _ => Ok(()),
        }
    }

    /// `Lost` once the session is known to have ended; no SQL.
    pub(crate) fn check_session(&self) -> Result<(), Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        match &*self.state.borrow() {
            SessionState::Closed { reason } => Err(self.lost(reason)),
            // The session's task is gone without a word.
            SessionState::Open if self.state.has_changed().is_err() => Err(self.lost(ENGINE_ENDED)),
            SessionState::Open => Ok(()),
        }
    }

    fn held_too_long(&self) -> Error {
        Error::held_too_long(&self.lock.id, self.limits.at_most.unwrap_or_default())
    }

    /// Completes when the lock is lost or was held for too long, and only then.
    pub(crate) async fn until_over(&self) -> Error {
        let Some(at) = self.stop_at() else {
            return self.until_lost().await;
        };
        // A thread that is gone wakes nobody, and the lock is lost.
        let woken = self.thread.sleep_until(at);
        tokio::select! {
            error = self.until_lost() => error,
            Ok(()) = woken => {
                let error = self.held_too_long();
                self.record.lost(&error);
                error
            }
        }
    }

    /// Completes when the lock is lost, and only then.
    async fn until_lost(&self) -> Error {
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != SessionState::Open).await {
            Ok(_) | Err(_) => {}
        }
        self.check_session()
            .err()
            .unwrap_or_else(|| self.lost(ENGINE_ENDED))
    }

    /// Releases it and waits for the server's word; where it is to be kept, for the word that it is held until now.
    ///
    /// Dropped before that, the release goes on in the background.
    pub(crate) async fn release(&self) -> Result<(), Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        if self.released.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        if !self.send_release(Some(reply)) {
            return Err(self.lost(ENGINE_ENDED));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(self.lost(ENGINE_ENDED)))
    }
}

const ENGINE_ENDED: &str =
    "its session was closed since its state was in doubt, or pglock's thread ended";

impl Drop for HeldLock {
    fn drop(&mut self) {
        if !self.released.swap(true, Ordering::Relaxed) && self.is_of_this_process() {
            // A thread that is gone has taken its sessions, and so the lock, with it.
            self.send_release(None);
        }
    }
}
