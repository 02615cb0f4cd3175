//! A call under a lock on a session of pglock's own: acquire, run the body, release, and report what went wrong.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, ready};

use crate::background::block_on;
use crate::calls::after_grant::AfterGrant;
use crate::calls::all::All;
use crate::calls::call_stack::{self, Frame};
use crate::calls::guards_here;
use crate::calls::limit::Limit;
use crate::engine::{self, DatabaseLock, HeldLock, HoldWatch, Purpose, Request};
use crate::error::Error;
use crate::model::lock_request::{LockRequest, LockSpec};
use crate::model::options::WaitPolicy;
use crate::model::permits::Permits;
use crate::telemetry::{self, Attempt, Subject, TraceContext};

/// A request for a lock on a session of pglock's own.
pub(crate) type CallRequest = LockRequest<DatabaseLock>;

/// For how long a call without a timeout waits for a guard that seems to be on its own thread. It may be elsewhere by now,
/// where somebody releases it.
const WAIT_FOR_OWN_GUARD: WaitPolicy = WaitPolicy::Millis(3000);

impl CallRequest {
    /// Acquires the lock for a guard, which is not part of the call stack.
    pub(crate) async fn guard(self, blocking: bool) -> Result<HeldLock, Error> {
        self.limits.refuse_at_most(&self.lock.id)?;
        self.acquire(blocking, false).await
    }

    /// `inherits`: of several locks, those that calls around this one have are not asked for.
    async fn acquire(self, blocking: bool, inherits: bool) -> Result<HeldLock, Error> {
        let mut wait = self.wait;
        if wait == WaitPolicy::Block && self.is_kept_by_own_guard(blocking, inherits)? {
            wait = WAIT_FOR_OWN_GUARD;
        }
        let id = (wait != self.wait).then(|| self.lock.id.clone());
        let attempt = Attempt::begin(Subject::from(&self.lock), self.on_busy);
        let request = Request {
            wait,
            asked: Instant::now(),
            is_nested: call_stack::holds_any_lock(),
            enclosing: call_stack::enclosing(&self.lock),
            elsewhere: call_stack::enclosing_elsewhere(&self.lock),
            describe_holder: telemetry::asks_for_holder(self.on_busy),
            context: TraceContext::here(),
            wait_report: attempt.wait_report(),
            sections: call_stack::sections(),
            lock: self.lock,
        };
        let acquired = acquire(request, blocking, inherits).await;
        let acquired = acquired.map_err(|error| match id {
            Some(id) if error.is_busy() => Error::held_by_own_guard(&id, wait.bound()),
            _ => error,
        });
        let hold = attempt.end(acquired)?;
        // `hold_at_least` counts from here, not from the grant: a caller dropped in between must not keep the lock.
        Ok(hold.with_limits(self.limits))
    }

    /// Whether a guard that seems to be on this thread keeps a wait of this caller's from ending.
    fn is_kept_by_own_guard(&self, blocking: bool, inherits: bool) -> Result<bool, Error> {
        let is_kept = |lock: &DatabaseLock| {
            call_stack::refuse_self_deadlock(lock)?;
            Ok(blocking && guards_here::hold_what_keeps(lock))
        };
        match self.lock.purpose.as_deref() {
            Some(Purpose::All(locks)) => {
                let mut is_one_kept = false;
                for lock in parted(&self.lock, locks, inherits).0 {
                    is_one_kept |= is_kept(&lock)?;
                }
                Ok(is_one_kept)
            }
            Some(Purpose::Limit(permits)) => {
                let mut slots = 0..permits.count();
                let are_all_kept = slots.all(|number| {
                    let slot = Permits::slot_id(&self.lock.id, number);
                    let slot = self.lock.with_spec(self.lock.spec.with_id(slot), None);
                    blocking && guards_here::hold_what_keeps(&slot)
                });
                Ok(is_kept(&self.lock)? || are_all_kept)
            }
            _ => is_kept(&self.lock),
        }
    }

    /// The lock of a call around this one, where this one needs no other.
    fn reenter(&self) -> Result<Option<Arc<HeldLock>>, Error> {
        let locks = match self.lock.purpose.as_deref() {
            Some(Purpose::All(locks)) => locks,
            Some(Purpose::Ruled(rules)) => {
                let hold = call_stack::reenter(&self.lock)?;
                return match hold {
                    Some(hold) if !hold.follows(*rules) => Err(Error::not_ruled(&self.lock.id)),
                    hold => Ok(hold),
                };
            }
            _ => return call_stack::reenter(&self.lock),
        };
        let (mut shared, mut is_one_missing) = (None, false);
        for spec in locks {
            let hold = call_stack::reenter(&self.lock.with_spec(spec.clone(), None))?;
            is_one_missing |= hold.is_none();
            shared = shared.or(hold);
        }
        Ok(shared.filter(|_| !is_one_missing))
    }

    async fn call(self, blocking: bool) -> Result<Call, Error> {
        if let Some(hold) = self.reenter()? {
            let frame = Frame::re_entered(&hold);
            return Ok(Call { hold, frame });
        }
        let hold = Arc::new(self.acquire(blocking, true).await?);
        let frame = Frame::locked(&hold);
        Ok(Call { hold, frame })
    }

    pub(crate) fn enter(self) -> Result<Call, Error> {
        self.limits.refuse_at_most(&self.lock.id)?;
        block_on(self.call(true))
    }

    pub(crate) async fn enter_async(self) -> Result<Call, Error> {
        self.call(false).await
    }
}

/// Acquires what takes more than one step. Boxed: otherwise those for one would have room for it, too.
type AcquireInSteps = Pin<Box<dyn Future<Output = Result<HeldLock, Error>> + Send>>;

/// Acquires what a request is for. Not an `async fn`, which would have room for the request twice.
fn acquire(
    request: Request,
    blocking: bool,
    inherits: bool,
) -> impl Future<Output = Result<HeldLock, Error>> + Send {
    match acquire_in_steps(&request, blocking, inherits) {
        Some(several) => Either::Left(Either::Left(several)),
        None if blocking => Either::Left(Either::Right(ready(engine::acquire_blocking(request)))),
        None => Either::Right(engine::acquire(request)),
    }
}

/// `None`: one step is enough.
fn acquire_in_steps(request: &Request, blocking: bool, inherits: bool) -> Option<AcquireInSteps> {
    match request.lock.purpose.as_deref()? {
        Purpose::All(locks) => {
            let (locks, shared) = parted(&request.lock, locks, inherits);
            Some(All::new(request.clone(), locks, shared, blocking).acquire())
        }
        Purpose::Limit(permits) => Some(Limit::new(request.clone(), *permits, blocking).permit()),
        Purpose::Ruled(rules) => Some(AfterGrant::new(request.clone(), *rules, blocking).acquire()),
        Purpose::Permit(_) | Purpose::Tentative | Purpose::Part => None,
    }
}

/// The locks that `lock` stands for, and which of them calls around this one have, where the caller `inherits` those.
fn parted(
    lock: &DatabaseLock,
    locks: &[LockSpec],
    inherits: bool,
) -> (Vec<DatabaseLock>, Vec<Arc<HeldLock>>) {
    let (mut to_ask_for, mut shared) = (Vec::new(), Vec::new());
    for spec in locks {
        let lock = lock.with_spec(spec.clone(), Some(Purpose::Tentative));
        let hold = if inherits {
            call_stack::reenter(&lock).unwrap_or_default()
        } else {
            None
        };
        match hold {
            Some(hold) => shared.push(hold),
            None => to_ask_for.push(lock),
        }
    }
    (to_ask_for, shared)
}

/// A call that holds its lock. Dropping it, as a panic in the body does, releases the lock in the background.
pub struct Call {
    hold: Arc<HeldLock>,
    frame: Arc<Frame>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.hold.lock.id).finish()
    }
}

impl Call {
    pub(crate) fn watch(&self) -> HoldWatch {
        self.hold.watch()
    }

    /// Runs the body. `failed` answers whether the body returned `Err`, which then takes precedence over a loss.
    pub(crate) fn run<R>(
        self,
        body: impl FnOnce() -> R,
        failed: impl FnOnce(&R) -> bool,
    ) -> Result<R, Error> {
        let result = self.frame.run(body);
        let kept = self.end_blocking();
        if failed(&result) {
            Ok(result)
        } else {
            kept.map(|()| result)
        }
    }

    /// Like [`run`](Call::run), for an async body, which is dropped when the lock is lost or `hold_at_most` is over.
    pub(crate) async fn run_async<F: Future>(
        self,
        body: F,
        failed: impl FnOnce(&F::Output) -> bool,
    ) -> Result<F::Output, Error> {
        let frame = Arc::clone(&self.frame);
        let result = match frame.run_while_held(&self.hold, body).await {
            Ok(result) => result,
            Err(error) => {
                // The body has been dropped by now, so it cannot overlap the next holder.
                let _ = self.end().await;
                return Err(error);
            }
        };
        if failed(&result) {
            // The caller gets the body's error, whether the release succeeds or not.
            let _ = self.end().await;
            return Ok(result);
        }
        self.end().await.map(|()| result)
    }

    /// Like [`end`](Call::end), but blocks this thread.
    fn end_blocking(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.hold) {
            Ok(hold) => engine::release_blocking(&hold),
            Err(shared) => shared.check_session(),
        }
        .map_err(Error::after_the_body)
    }

    /// Ends the call; the last one that shares a lock releases it.
    async fn end(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.hold) {
            Ok(hold) => engine::release(&hold).await,
            Err(shared) => shared.check_session(),
        }
        .map_err(Error::after_the_body)
    }
}
