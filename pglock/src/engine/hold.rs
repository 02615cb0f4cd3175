//! A lock held on a session of pglock's own, from its holder's side.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::watch;

use super::ids::SessionState;
use super::ledger::HoldId;
use super::lock::{DatabaseLock, GrantRules};
use super::register::{Register, Release, ReleaseReply};
use crate::background::OwnerProcess;
use crate::error::Error;
use crate::model::hold_limits::HoldLimits;
use crate::telemetry::{HoldRecord, HoldSpan};

/// A granted lock. Dropping it releases it in the background, after `hold_at_least` where set.
pub(crate) struct HeldLock {
    pub(crate) lock: Arc<DatabaseLock>,
    pub(crate) id: HoldId,
    register: Arc<Register>,
    state: watch::Receiver<SessionState>,
    released: AtomicBool,
    received: Instant,
    limits: HoldLimits,
    record: Arc<HoldRecord>,
    /// `None` for one that was acquired alone, as nearly all are.
    others: Option<Box<Others>>,
}

/// What a lock has besides itself, for as long as it is held.
#[derive(Default)]
struct Others {
    /// Its loss is not the lock's.
    beside: Vec<HeldLock>,
    /// These are one with the lock: the loss of one is that of all. Calls inside the one that has them may share them.
    together: Vec<Arc<HeldLock>>,
    rules: GrantRules,
    token: Option<u64>,
}

/// Says of a lock whether it is known to be lost, also when its holder has gone.
pub(crate) struct HoldWatch {
    pub(crate) lock: Arc<DatabaseLock>,
    state: watch::Receiver<SessionState>,
    process: OwnerProcess,
}

impl HoldWatch {
    pub(crate) fn is_session_open(&self) -> bool {
        self.process.is_current() && why_closed(&self.state).is_none()
    }
}

impl HeldLock {
    pub(crate) fn watch(&self) -> HoldWatch {
        HoldWatch {
            lock: Arc::clone(&self.lock),
            state: self.state.clone(),
            process: self.register.process,
        }
    }

    pub(super) fn new(
        register: Arc<Register>,
        lock: Arc<DatabaseLock>,
        id: HoldId,
        state: watch::Receiver<SessionState>,
        record: Arc<HoldRecord>,
    ) -> Self {
        Self {
            lock,
            id,
            register,
            state,
            released: AtomicBool::new(false),
            received: Instant::now(),
            limits: HoldLimits::default(),
            record,
            others: None,
        }
    }

    /// Its caller has it from now on, which is reported if it was not before.
    pub(crate) fn handed_over(self) -> Self {
        self.record.begin_now();
        // If that was earlier, nobody has told the record.
        if let Some(reason) = why_closed(&self.state) {
            self.record.lost(&reason);
        }
        self
    }

    /// Holds `other` for as long as this.
    pub(crate) fn beside(mut self, other: Self) -> Self {
        self.others.get_or_insert_default().beside.push(other);
        self
    }

    /// Is one with these.
    pub(crate) fn together_with(mut self, locks: Vec<Arc<Self>>) -> Self {
        if !locks.is_empty() {
            self.others.get_or_insert_default().together.extend(locks);
        }
        self
    }

    /// Was acquired by these rules, and has this token, if any.
    pub(crate) fn ruled(mut self, rules: GrantRules, token: Option<u64>) -> Self {
        let others = self.others.get_or_insert_default();
        (others.rules, others.token) = (rules, token);
        self
    }

    /// Whether it has what these rules give.
    pub(crate) fn follows(&self, rules: GrantRules) -> bool {
        let own = self.others.as_ref().map(|others| others.rules);
        let own = own.unwrap_or_default();
        own.once_in.is_some() >= rules.once_in.is_some() && own.fenced >= rules.fenced
    }

    /// The session that it is on, as Postgres names it.
    pub(super) fn backend_pid(&self) -> i32 {
        let entries = self.register.lock();
        let held = entries.held.get(&self.id);
        // One that is gone is on none.
        held.map_or(0, |held| held.link.backend().pid)
    }

    /// The same; `None` of one that is lost, or was inherited from the process that this one was forked from.
    pub(crate) fn backend(&self) -> Option<i32> {
        self.check_own_session().ok()?;
        let pid = self.backend_pid();
        (pid != 0).then_some(pid)
    }

    pub(crate) fn token(&self) -> Option<u64> {
        self.others.as_ref()?.token
    }

    /// Those that it is one with.
    pub(crate) fn together(&self) -> &[Arc<Self>] {
        self.others.as_ref().map_or(&[], |others| &others.together)
    }

    /// Starts the limits now, as the caller receives the lock.
    pub(crate) fn with_limits(mut self, limits: HoldLimits) -> Self {
        self.received = Instant::now();
        self.limits = limits;
        if let Some(others) = &mut self.others {
            // Those that calls around have keep their own.
            let together = others.together.iter_mut().filter_map(Arc::get_mut);
            for other in together.chain(&mut others.beside) {
                (other.received, other.limits) = (self.received, limits);
            }
        }
        self
    }

    /// The span that the body runs in.
    pub(crate) fn span(&self) -> HoldSpan {
        self.record.span()
    }

    fn keep_until(&self) -> Option<Instant> {
        self.limits.at_least.map(|least| self.received + least)
    }

    fn stop_at(&self) -> Option<Instant> {
        self.limits.at_most.map(|most| self.received + most)
    }

    /// Whether the lock was granted to this process. In a forked child it is only a copy.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.register.is_of_this_process()
    }

    pub(super) fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// Whether it is kept after its release.
    pub(super) fn is_to_be_kept(&self) -> bool {
        self.keep_until()
            .is_some_and(|until| until > Instant::now())
    }

    fn lost(&self, why: &str) -> Error {
        Error::lost(&self.lock.id, why)
    }

    /// Has pglock's thread release it, and answer that.
    pub(super) fn send_release(&self, reply: ReleaseReply) -> Result<(), Error> {
        if self.release_in_background(Some(reply)) {
            Ok(())
        } else {
            Err(self.lost(ENGINE_ENDED))
        }
    }

    /// `false` if the thread has ended.
    fn release_in_background(&self, reply: Option<ReleaseReply>) -> bool {
        let release = Release {
            hold: self.id,
            keep_until: self.keep_until(),
            reply,
        };
        self.register.releases.send(release).is_ok()
    }

    /// `Lost` once the session is known to have ended, or `hold_at_most` is over. Runs no SQL.
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

    /// `Lost` once the session is known to have ended, or that of a lock that it is one with. Runs no SQL.
    pub(crate) fn check_session(&self) -> Result<(), Error> {
        self.check_own_session()?;
        let mut others = self.together().iter();
        others.try_for_each(|other| other.check_own_session())
    }

    fn check_own_session(&self) -> Result<(), Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        match why_closed(&self.state) {
            Some(reason) => Err(self.lost(&reason)),
            None => Ok(()),
        }
    }

    fn held_too_long(&self) -> Error {
        Error::held_too_long(&self.lock.id, self.limits.at_most.unwrap_or_default())
    }

    /// Completes only when the lock is lost or `hold_at_most` is over.
    pub(crate) async fn until_over(&self) -> Error {
        let Some(at) = self.stop_at() else {
            return self.until_lost().await;
        };
        // If the thread has ended, `woken` is an error, and the lock is lost.
        let woken = self.register.thread.sleep_until(at);
        tokio::select! {
            // Else it takes a random number of the thread's, which has none left where it ends.
            biased;
            error = self.until_lost() => error,
            Ok(()) = woken => {
                let error = self.held_too_long();
                self.record.lost(&error);
                error
            }
        }
    }

    /// Completes only when the lock is lost.
    async fn until_lost(&self) -> Error {
        if is_thread_ending() {
            return poll_fn(|_| {
                self.check_session()
                    .err()
                    .map_or(Poll::Pending, Poll::Ready)
            })
            .await;
        }
        if self.together().is_empty() {
            until_closed(self.state.clone()).await;
        } else {
            let others = self.together().iter().map(|other| &other.state);
            let states = std::iter::once(&self.state).chain(others);
            let mut closed: Vec<_> = states
                .map(|state| Box::pin(until_closed(state.clone())))
                .collect();
            poll_fn(|cx| {
                let mut closed = closed.iter_mut();
                if closed.any(|closed| closed.as_mut().poll(cx).is_ready()) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
        self.why_lost()
    }

    fn why_lost(&self) -> Error {
        let lost = self.check_session().err();
        lost.unwrap_or_else(|| self.lost(ENGINE_ENDED))
    }

    /// Whether it has not been released yet. From now on it counts as released.
    pub(super) fn begin_release(&self) -> Result<bool, Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        Ok(!self.released.swap(true, Ordering::Relaxed))
    }

    /// The result of a release, from its answer; without one, the thread has ended.
    pub(super) fn release_result(
        &self,
        answer: Result<Result<(), Error>, RecvError>,
    ) -> Result<(), Error> {
        answer.unwrap_or_else(|_| Err(self.why_lost()))
    }
}

/// Whether this thread is about to end, and runs the destructors of its thread-locals. A watch channel cannot be waited on
/// there; a body is still asked about its lock whenever it is polled.
fn is_thread_ending() -> bool {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.is_err_and(|error| error.is_thread_local_destroyed())
}

async fn until_closed(mut state: watch::Receiver<SessionState>) {
    // An error is the end of the task that drives the session.
    let _ = state.wait_for(|state| *state != SessionState::Open).await;
}

/// Why the session has closed; `None` while it is open.
fn why_closed(state: &watch::Receiver<SessionState>) -> Option<String> {
    match &*state.borrow() {
        SessionState::Closed { reason } => Some(reason.clone()),
        // The task that drives the session ended without a message.
        SessionState::Open if state.has_changed().is_err() => Some(ENGINE_ENDED.to_owned()),
        SessionState::Open => None,
    }
}

const ENGINE_ENDED: &str =
    "its session was closed because its state was not known, or pglock's thread ended";

impl Drop for HeldLock {
    fn drop(&mut self) {
        if !self.released.swap(true, Ordering::Relaxed) && self.is_of_this_process() {
            // If the thread has ended, its sessions and so this lock are gone already.
            self.release_in_background(None);
        }
    }
}
