//! Locks on a connection of the caller's: acquiring them, and releasing them whatever happens.
//!
//! Each is one conversation of `wire/protocol.rs` over a wire of `drivers/`, for blocking and async connections alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::background::{OwnerProcess, block_on};
use crate::drivers::sealed::{Async, Blocking};
use crate::drivers::{AsyncWire, BlockingWire, CleanUp, CleanUpOnDrop};
use crate::error::{Error, Found, SKIP};
use crate::model::lock_id::LockId;
use crate::model::lock_request::{LockRequest, LockSpec};
use crate::model::options::WaitPolicy;
use crate::sql;
use crate::telemetry::{Attempt, HoldRecord, HoldSpan, Subject, TraceContext, WaitReport};
use crate::wire::SimpleQuery;
use crate::wire::canceled::end_session;
use crate::wire::protocol::{self, AcquireOutcome};
use crate::wire::reply::Released;
use crate::wire::slices;

/// A request for a lock on a connection of the caller's.
#[derive(Debug)]
pub(crate) struct ConnectionRequest {
    request: LockRequest,
    process: OwnerProcess,
    /// Recorded in the session by the release of this lock, so that it is not released twice.
    release_token: u64,
}

impl From<LockRequest> for ConnectionRequest {
    fn from(request: LockRequest) -> Self {
        static RELEASE_TOKENS: AtomicU64 = AtomicU64::new(0);
        Self {
            request,
            process: OwnerProcess::current(),
            release_token: RELEASE_TOKENS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl ConnectionRequest {
    pub(crate) fn acquire(
        self,
        connection: &mut (impl Blocking + ?Sized),
    ) -> Result<ConnectionLock, Error> {
        block_on(self.acquire_session(&mut BlockingWire(connection)))
    }

    pub(crate) fn acquire_xact(
        &self,
        transaction: &mut (impl Blocking + ?Sized),
    ) -> Result<(), Error> {
        block_on(self.acquire_in_transaction(&mut BlockingWire(transaction)))
    }

    pub(crate) async fn acquire_async(
        self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<ConnectionLock, Error> {
        let LockRequest { lock, wait, .. } = &self.request;
        let clean_up = CleanUp::in_session(lock, *wait);
        self.acquire_session(&mut CleanUpOnDrop::new(connection, clean_up))
            .await
    }

    pub(crate) async fn acquire_xact_async(
        &self,
        transaction: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        let clean_up = CleanUp::in_transaction(self.request.wait != WaitPolicy::NoWait);
        self.acquire_in_transaction(&mut CleanUpOnDrop::new(transaction, clean_up))
            .await
    }

    async fn acquire_session(self, wire: &mut impl SimpleQuery) -> Result<ConnectionLock, Error> {
        let (attempt, context) = (self.attempt(), TraceContext::here());
        let report = attempt.wait_report();
        attempt.end(self.ask_in_session(wire, report.as_deref()).await)?;
        Ok(ConnectionLock {
            record: Arc::new(HoldRecord::begin(self.subject(), &context)),
            request: self,
        })
    }

    async fn acquire_in_transaction(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let attempt = self.attempt();
        attempt.end(self.ask_in_transaction(wire).await)
    }

    fn subject(&self) -> Subject {
        Subject::from(&self.request.lock)
    }

    fn attempt(&self) -> Attempt {
        Attempt::begin(self.subject(), self.request.on_busy)
    }

    async fn ask_in_session(
        &self,
        wire: &mut impl SimpleQuery,
        report: Option<&WaitReport>,
    ) -> Result<(), Error> {
        let LockRequest { lock, wait, .. } = &self.request;
        let outcome = slices::acquire_in_slices(wire, lock, *wait, report).await;
        if let AcquireOutcome::Broken(_) = outcome {
            end_session(wire).await;
        }
        let granted = protocol::explain_acquire(&lock.id, outcome, Error::inside_a_transaction)?;
        let look_up = async |wire: &mut _| protocol::holder(wire, lock).await;
        self.granted_or_busy(wire, granted, look_up).await
    }

    async fn ask_in_transaction(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let LockRequest { lock, wait, .. } = &self.request;
        let outcome = protocol::acquire_in_transaction(wire, lock, *wait).await;
        let granted = protocol::explain_acquire(&lock.id, outcome, Error::in_aborted_transaction)?;
        let look_up = async |wire: &mut _| protocol::holder_in_transaction(wire, lock).await;
        self.granted_or_busy(wire, granted, look_up).await
    }

    async fn granted_or_busy<W: SimpleQuery>(
        &self,
        wire: &mut W,
        granted: bool,
        look_up: impl AsyncFnOnce(&mut W) -> Found,
    ) -> Result<(), Error> {
        let LockRequest {
            lock,
            wait,
            on_busy,
            ..
        } = &self.request;
        let busy = |holder| Error::busy(&lock.id, wait.bound(), holder, SKIP);
        protocol::granted_or_busy(wire, granted, *on_busy, look_up, busy).await
    }
}

/// A lock held on a connection of the caller's.
#[derive(Debug)]
pub(crate) struct ConnectionLock {
    request: ConnectionRequest,
    record: Arc<HoldRecord>,
}

impl ConnectionLock {
    pub(crate) fn id(&self) -> &LockId {
        &self.request.request.lock.id
    }

    /// `Lost` if its connection is closed.
    pub(crate) fn lost_if_closed(&self, is_closed: bool) -> Result<(), Error> {
        if is_closed {
            return Err(Error::lost(self.id(), "its connection is closed"));
        }
        Ok(())
    }

    /// The span that the body under the lock runs in.
    pub(crate) fn span(&self) -> HoldSpan {
        self.record.span()
    }

    pub(crate) fn release(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        block_on(self.release_session(&mut BlockingWire(connection)))
    }

    /// If the future is dropped, the lock may or may not be released;
    /// [`queue_release`](ConnectionLock::queue_release) then does the rest.
    pub(crate) async fn release_async(
        &self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        self.release_session(&mut AsyncWire(connection)).await
    }

    async fn release_session(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let released = self.ask_for_release(wire).await;
        self.record.released(&released);
        released
    }

    async fn ask_for_release(&self, wire: &mut impl SimpleQuery) -> Result<(), Error> {
        let LockSpec { id, key, mode, .. } = &self.request.request.lock;
        if !self.request.process.is_current() {
            return Err(Error::lost_to_fork(id));
        }
        let release_token = Some(self.request.release_token);
        let released = protocol::release_session(wire, *key, *mode, release_token).await;
        if let Released::Failed(failure) = &released
            && !failure.session_ended
        {
            end_session(wire).await;
        }
        protocol::explain_release(id, released)
    }

    /// Queues all statements of a release at once. Nothing after this depends on the caller.
    pub(crate) fn queue_release(&self, connection: &mut (impl Async + ?Sized)) {
        let LockSpec { key, mode, .. } = &self.request.request.lock;
        if !self.request.process.is_current() {
            return;
        }
        let is_closed = connection.is_closed();
        for sql in sql::transaction::END_ANY_TRANSACTION {
            connection.queue(sql);
        }
        connection.queue(&sql::advisory::release_unless_done(
            *key,
            *mode,
            self.request.release_token,
        ));
        // Nobody reads the answer, so a lock on an open connection counts as released.
        self.record.released(&self.lost_if_closed(is_closed));
    }
}

#[cfg(test)]
mod tests {
    use pglock_tests::database;

    use super::*;
    use crate::model::hold_limits::HoldLimits;
    use crate::model::options::{AdvisoryMode, OnBusy};
    use crate::wire::canceled::tests::Canceled;

    fn request() -> ConnectionRequest {
        LockRequest {
            lock: LockSpec::new(1.into(), AdvisoryMode::Exclusive, None).unwrap(),
            wait: WaitPolicy::Block,
            limits: HoldLimits::default(),
            on_busy: OnBusy::Fail,
        }
        .into()
    }

    #[test]
    fn a_lock_is_not_left_to_a_session_all_of_whose_statements_are_canceled() {
        let db = database();
        for as_they_begin in [0, 1, 2, 50] {
            let mut client = db.connect();
            let mut wire = Canceled {
                client: &mut client,
                at_its_end: true,
                as_they_begin,
            };
            block_on(request().acquire_session(&mut wire)).unwrap_err();
            db.wait_for_no_locks();

            let mut client = db.connect();
            let lock = block_on(request().acquire_session(&mut BlockingWire(&mut client)));
            let mut wire = Canceled {
                client: &mut client,
                at_its_end: false,
                as_they_begin,
            };
            let released = block_on(lock.unwrap().release_session(&mut wire));
            assert_eq!(released.is_ok(), as_they_begin == 0, "{released:?}");
            db.wait_for_no_locks();
        }
    }
}
