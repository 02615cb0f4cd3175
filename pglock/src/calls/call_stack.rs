//! The call stack: the current call, the calls enclosing it, and the locks that they hold.
//!
//! A thread-local names the innermost call while its body runs, or, for an async body, while it is polled. So a nested
//! call finds the locks of the enclosing calls; siblings, spawned tasks and other threads do not.

use std::cell::RefCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::task;

use crate::background::close_copies_in_child;
use crate::engine::{DatabaseLock, HeldLock, HoldElsewhere, HoldId, SectionId};
use crate::error::Error;
use crate::model::options::AdvisoryMode;
use crate::telemetry::HoldSpan;

thread_local! {
    // Never dropped, so that calls in the destructors of other thread-locals find it. It is empty by then: each call
    // restores the one before.
    static INNERMOST: ManuallyDrop<RefCell<Option<Current>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Sets the current call, and returns the one before. Where a thread ends, there may be none: not every platform keeps
/// what is never dropped.
fn replace_innermost(current: Option<Current>) -> Option<Current> {
    let replaced = INNERMOST.try_with(|innermost| innermost.replace(current));
    replaced.unwrap_or_default()
}

/// The current call of this thread, and its task. A runtime that is driven inside a blocking body runs other tasks on
/// the same thread, which must inherit nothing.
#[derive(Clone)]
struct Current {
    frame: Arc<Frame>,
    task: Option<task::Id>,
}

/// A call, and the calls enclosing it. It does not keep their locks alive: each call does that for itself.
pub(crate) struct Frame {
    kind: FrameKind,
    span: HoldSpan,
    outer: Option<Arc<Frame>>,
}

/// The kinds of calls.
enum FrameKind {
    /// Under a lock on a session of pglock's own.
    Locked(Weak<HeldLock>),
    /// Under a lock on a connection of the caller's.
    LockedOnConnection,
    /// A prioritized section.
    Prioritized(SectionId),
}

impl Frame {
    /// A call under a lock on a session of pglock's own.
    pub(crate) fn locked(hold: &Arc<HeldLock>) -> Arc<Self> {
        Self::in_current(FrameKind::Locked(Arc::downgrade(hold)), hold.span())
    }

    /// A call that shares such a lock with one around it.
    pub(crate) fn re_entered(hold: &Arc<HeldLock>) -> Arc<Self> {
        let span = hold.span().of_inner_call();
        Self::in_current(FrameKind::Locked(Arc::downgrade(hold)), span)
    }

    /// A call under a lock on a connection of the caller's.
    pub(crate) fn on_connection(span: HoldSpan) -> Arc<Self> {
        Self::in_current(FrameKind::LockedOnConnection, span)
    }

    /// A section: the waits in it on pglock's own sessions are prioritized too.
    pub(crate) fn prioritized(section: SectionId) -> Arc<Self> {
        Self::in_current(FrameKind::Prioritized(section), HoldSpan::none())
    }

    fn in_current(kind: FrameKind, span: HoldSpan) -> Arc<Self> {
        Arc::new(Self {
            kind,
            span,
            outer: innermost(),
        })
    }

    /// Runs a body in this call.
    pub(crate) fn run<R>(self: &Arc<Self>, body: impl FnOnce() -> R) -> R {
        let _entered = EnterGuard::new(self);
        self.span.run(body)
    }

    /// Runs an async body in this call.
    pub(crate) async fn run_async<F: Future>(self: Arc<Self>, body: F) -> F::Output {
        let unfinished = self.span.until_finished();
        let mut body = pin!(body);
        let result = std::future::poll_fn(|cx| self.run(|| body.as_mut().poll(cx))).await;
        unfinished.finished();
        result
    }

    /// Like [`run_async`](Frame::run_async), but drops the body at its next await once `hold` is lost or its
    /// `hold_at_most` is over.
    pub(crate) async fn run_while_held<F: Future>(
        self: Arc<Self>,
        hold: &HeldLock,
        body: F,
    ) -> Result<F::Output, Error> {
        let unfinished = self.span.until_finished();
        let mut lost = pin!(hold.until_over());
        let mut body = pin!(body);
        let result = std::future::poll_fn(|cx| {
            if let Poll::Ready(error) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(error));
            }
            self.run(|| body.as_mut().poll(cx)).map(Ok)
        })
        .await;
        unfinished.finished();
        result
    }
}

fn innermost() -> Option<Arc<Frame>> {
    INNERMOST
        .try_with(|innermost| innermost.borrow().clone())
        .unwrap_or_default()
        .filter(|current| current.task == task::try_id())
        .map(|current| current.frame)
}

/// The current call and those enclosing it, innermost first.
fn frames() -> impl Iterator<Item = Arc<Frame>> {
    let mut next = innermost();
    std::iter::from_fn(move || {
        let frame = next.take()?;
        next.clone_from(&frame.outer);
        Some(frame)
    })
}

/// The locks that these calls hold on pglock's own sessions.
fn held() -> impl Iterator<Item = Arc<HeldLock>> {
    let holds = frames().filter_map(|frame| match &frame.kind {
        FrameKind::Locked(hold) => hold.upgrade(),
        FrameKind::LockedOnConnection | FrameKind::Prioritized(_) => None,
    });
    holds.flat_map(|hold| {
        let together = hold.together().to_vec();
        std::iter::once(hold).chain(together)
    })
}

/// The prioritized sections among these calls.
pub(crate) fn sections() -> Box<[SectionId]> {
    let sections = frames().filter_map(|frame| match frame.kind {
        FrameKind::Prioritized(section) => Some(section),
        FrameKind::Locked(_) | FrameKind::LockedOnConnection => None,
    });
    sections.collect()
}

/// Restores the enclosing call when the body returns, is suspended, or panics.
struct EnterGuard {
    before: Option<Current>,
}

impl EnterGuard {
    fn new(frame: &Arc<Frame>) -> Self {
        Self {
            before: replace_innermost(Some(Current {
                frame: Arc::clone(frame),
                task: task::try_id(),
            })),
        }
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        replace_innermost(self.before.take());
    }
}

/// The lock of an enclosing call that has the same key, if there is one.
///
/// # Errors
///
/// If one of them is not to be shared, if it is requested exclusive and held shared, and if it was lost.
pub(crate) fn reenter(lock: &DatabaseLock) -> Result<Option<Arc<HeldLock>>, Error> {
    let Some(hold) = held().find(|hold| lock.is_had_by(&hold.lock)) else {
        return Ok(None);
    };
    if !(lock.reentrant && hold.lock.reentrant) {
        return Err(Error::not_reentrant(&lock.id));
    }
    if hold.lock.mode == AdvisoryMode::Shared && lock.mode == AdvisoryMode::Exclusive {
        return Err(Error::exclusive_inside_shared(&lock.id));
    }
    hold.check()?;
    Ok(Some(hold))
}

/// Whether the enclosing calls hold any lock, in whatever database.
pub(crate) fn holds_any_lock() -> bool {
    frames().any(|frame| match frame.kind {
        FrameKind::Locked(_) | FrameKind::LockedOnConnection => true,
        FrameKind::Prioritized(_) => false,
    })
}

/// The locks of the enclosing calls in the same database, the innermost first.
pub(crate) fn enclosing(lock: &DatabaseLock) -> Vec<HoldId> {
    held()
        .filter(|hold| hold.lock.database == lock.database && hold.is_of_this_process())
        .map(|hold| hold.id)
        .collect()
}

/// The locks of the enclosing calls in what may be the same database, or another one of its server, the innermost first.
pub(crate) fn enclosing_elsewhere(lock: &DatabaseLock) -> Box<[HoldElsewhere]> {
    held()
        .filter(|hold| {
            let database = &hold.lock.database;
            *database != lock.database
                && database.may_share_server(&lock.database)
                && hold.is_of_this_process()
        })
        .map(|hold| HoldElsewhere {
            database: hold.lock.database.clone(),
            hold: hold.id,
        })
        .collect()
}

/// Rejects a self-deadlock: a wait without a timeout for a lock that this call stack already holds. Lost locks do not
/// count.
pub(crate) fn refuse_self_deadlock(lock: &DatabaseLock) -> Result<(), Error> {
    let deadlocks =
        |hold: Arc<HeldLock>| lock.waits_for(&hold.lock) && hold.check_session().is_ok();
    if held().any(deadlocks) {
        return Err(Error::held_by_enclosing_call(&lock.id));
    }
    Ok(())
}

/// The token of the call around this one whose lock is [`fenced`](crate::Advisory::fenced), of the innermost if there are
/// several: larger than that of each holder before. Locks in between that are not `fenced` don't count. Those of guards have
/// theirs in [`Guard::token`](crate::Guard::token).
///
/// For a parameter of type `bigint`, `i64::try_from(token)` makes the number that the server has given.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) where there is no such call.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::advisory("ledger", fenced)]
/// fn post() -> Result<u64, pglock::Error> {
///     pglock::token() // to be written and compared where the work goes
/// }
///
/// assert!(post()? < post()?);
/// # Ok(())
/// # }
/// ```
pub fn token() -> Result<u64, Error> {
    close_copies_in_child();
    held().find_map(|hold| hold.token()).ok_or_else(|| {
        Error::config(
            "`pglock::token` is that of a call around it whose lock is `fenced`, and there is none; write `#[pglock::advisory(.., fenced)]`, or `fenced()` before `run`, or use `token()` of the guard",
        )
    })
}

/// Checks that the locks of the enclosing calls are still held, without SQL.
///
/// For long blocking bodies: an async body is dropped when its lock is lost, but a blocking one has to check. Locks on
/// a connection of yours (`client =`) cannot be checked this way; a loss there shows at that connection's next
/// statement. A lock that has been held for longer than its [`hold_at_most`](crate::Advisory::hold_at_most) counts as
/// lost.
///
/// # Errors
///
/// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if one of them is known to be lost, and
/// [`ErrorKind::Config`](crate::ErrorKind::Config) outside any call, or if all of them are on connections of yours.
///
/// ```no_run
/// # fn orders() -> Vec<u32> { vec![] }
/// # fn settle(order: u32) {}
/// #[pglock::advisory]
/// fn settle_orders() -> Result<(), pglock::Error> {
///     for order in orders() {
///         pglock::check()?; // before the next step that must not be done twice
///         settle(order);
///     }
///     Ok(())
/// }
/// ```
pub fn check() -> Result<(), Error> {
    close_copies_in_child();
    if frames().all(|frame| matches!(frame.kind, FrameKind::Prioritized(_))) {
        return Err(Error::config(
            "`pglock::check` checks the locks of the calls around it, and there is no such call; call it inside a function under `#[pglock::advisory]` or inside `run`, or use `check()` of the guard",
        ));
    }
    let mut holds = held().peekable();
    if holds.peek().is_none() {
        return Err(Error::config(
            "`pglock::check` cannot check locks on connections of yours (`client =`), and the calls around it hold only such locks; run a statement on that connection instead",
        ));
    }
    holds.try_for_each(|hold| hold.check())
}
