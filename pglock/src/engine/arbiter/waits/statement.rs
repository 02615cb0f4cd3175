//! The statement that waits in the server: begun, begun anew so that it harms nobody, and canceled.
//!
//! A statement that waits keeps a snapshot. Each `.. CONCURRENTLY` in the database waits for it, and vacuum removes nothing
//! that is newer. Many that wait for one key make the server search for deadlocks under all its lock partitions. So a wait
//! is begun anew, which gives its place in the server's queue up, when somebody waits for it, when it is old, and where
//! there is a crowd.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use super::active::ActiveWait;
use super::{WaitEnd, WaitRequest};
use crate::engine::arbiter::Arbiter;
use crate::engine::arbiter::cause::Cause;
use crate::engine::ledger::WaitOrder;
use crate::engine::pool::Lease;
use crate::engine::session::{Exclusive, Session};
use crate::error::Failure;
use crate::model::lock_id::Key;
use crate::model::options::{Scope, WaitPolicy};
use crate::wire::protocol::AcquireOutcome;

/// How long a wait lasts before it is looked whom it harms, and whether it is part of a deadlock. Less than the server's
/// `deadlock_timeout`, 1 s unless set.
const LOOK_AFTER: Duration = Duration::from_millis(700);

/// How old a snapshot may become.
const OLDEST: Duration = Duration::from_secs(25);

/// With more waiters for one key than this each of them waits in slices.
const CROWD: usize = 100;

/// How long a slice is at least and at most, and the pause after it. Shorter than `deadlock_timeout`: none of them makes the
/// server search for deadlocks.
const SLICE: (u64, u64) = (600, 900);

/// How long a statement waits at most where it can't be canceled, since a pooler is in between.
const BEHIND_POOLER: Duration = Duration::from_secs(2);

/// Why a statement was ended before the wait was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// Nobody wants the lock any more.
    Canceled,
    /// It is to be begun anew.
    Anew,
    /// There is a crowd: it is to be begun anew after a pause, in slices.
    Crowd,
}

/// How a wait is carried out.
struct Plan {
    is_first: bool,
    in_slices: bool,
}

/// The search for deadlocks that a wait is part of, once it has lasted.
#[derive(Default)]
struct DeadlockWatch {
    stop: Rc<Notify>,
    task: Option<JoinHandle<()>>,
}

impl Arbiter {
    /// Asks the server for the lock, and cancels the wait when that is ordered.
    pub(super) async fn converse_wait(
        self: &Rc<Self>,
        order: &WaitOrder,
        lease: &Lease,
        request: &WaitRequest,
        active: &ActiveWait,
    ) -> WaitEnd {
        let session = lease.session();
        let sections = Rc::clone(&active.sections);
        let section_wait = self.section_waits.begin(sections, session.backend());
        let exclusive = session.exclusive().await;
        let mut watch = DeadlockWatch::default();
        let (outcome, is_canceled) = self
            .wait_in_statements(order, lease, &exclusive, request, active, &mut watch)
            .await;
        active.statement.set(None);
        if let Some(task) = watch.task {
            watch.stop.notify_one();
            let _ = task.await;
        }
        section_wait.end().await;
        match outcome {
            AcquireOutcome::Failed(failure) if failure.session_ended => {
                WaitEnd::SessionEnded(Cause::ended(session, Some(failure)).await)
            }
            outcome => self.wait_end(order, session, outcome, is_canceled),
        }
    }

    /// The outcome of the last statement, and whether it was canceled since nobody wants the lock any more.
    async fn wait_in_statements(
        self: &Rc<Self>,
        order: &WaitOrder,
        lease: &Lease,
        exclusive: &Exclusive<'_>,
        request: &WaitRequest,
        active: &ActiveWait,
        watch: &mut DeadlockWatch,
    ) -> (AcquireOutcome, bool) {
        let session = lease.session();
        let mut plan = Plan {
            is_first: true,
            in_slices: false,
        };
        loop {
            let (wait, is_slice) = self.time_for_statement(order, session, request.wait, &plan);
            plan.is_first = false;
            active
                .statement
                .set(Some((session.backend().pid, Instant::now())));
            let mut acquire = pin!(exclusive.acquire(&request.lock, wait));
            let interruption = tokio::select! {
                outcome = &mut acquire => match outcome {
                    AcquireOutcome::Busy if is_slice => None,
                    outcome => return (outcome, false),
                },
                () = active.cancel.notified() => Some(Interruption::Canceled),
                () = active.anew.notified(), if can_cancel(session) => Some(Interruption::Anew),
                () = tokio::time::sleep(OLDEST), if can_cancel(session) => Some(Interruption::Anew),
                () = self.look_out(order, session, &plan, watch) => Some(Interruption::Crowd),
            };
            if let Some(interruption) = interruption {
                let ended = lease.cancel_wait(request.lock.key, acquire).await;
                let outcome =
                    ended.unwrap_or_else(|| AcquireOutcome::Broken(Failure::unexpected_answer()));
                let is_canceled = interruption == Interruption::Canceled;
                let goes_on = matches!(&outcome, AcquireOutcome::Failed(failure)
                    if failure.is(&SqlState::QUERY_CANCELED));
                if is_canceled || !goes_on {
                    return (outcome, is_canceled);
                }
                plan.in_slices |= interruption == Interruption::Crowd;
            }
            if plan.in_slices {
                tokio::select! {
                    () = active.cancel.notified() => return (canceled(), true),
                    () = tokio::time::sleep(slice()) => {}
                }
            }
        }
    }

    /// How long the statement may wait, and whether the wait goes on after it. Only the wait of one caller on a session of its
    /// own has the caller's timeout.
    fn time_for_statement(
        self: &Rc<Self>,
        order: &WaitOrder,
        session: &Session,
        wait: WaitPolicy,
        plan: &Plan,
    ) -> (WaitPolicy, bool) {
        if wait == WaitPolicy::NoWait {
            return (wait, false);
        }
        let left = order
            .own
            .and_then(|own| self.leave_to_server(own, plan.is_first));
        let most = if plan.in_slices {
            Some(slice())
        } else {
            (!can_cancel(session)).then_some(BEHIND_POOLER)
        };
        let is_slice = most.is_some_and(|most| left.is_none_or(|left| most < left));
        match if is_slice { most } else { left } {
            None => (WaitPolicy::Block, false),
            Some(bound) => {
                let millis = i32::try_from(bound.as_millis()).unwrap_or(i32::MAX);
                (WaitPolicy::Millis(millis.max(1)), is_slice)
            }
        }
    }

    /// Completes only if there is a crowd. Once a wait has lasted, it is watched for deadlocks, and for statements that wait
    /// for its end.
    async fn look_out(
        self: &Rc<Self>,
        order: &WaitOrder,
        session: &Rc<Session>,
        plan: &Plan,
        watch: &mut DeadlockWatch,
    ) {
        tokio::time::sleep(LOOK_AFTER).await;
        if watch.task.is_none() {
            let (arbiter, stop) = (Rc::clone(self), Rc::clone(&watch.stop));
            let task = arbiter.watch_for_deadlock(order.key, Rc::clone(session), stop);
            watch.task = Some(tokio::task::spawn_local(task));
        }
        self.watch_for_held_up();
        if !plan.in_slices && can_cancel(session) && self.is_crowded(order.key).await {
            return;
        }
        std::future::pending::<()>().await;
    }

    async fn is_crowded(self: &Rc<Self>, key: Key) -> bool {
        self.pool.count_waiters(key).await > CROWD
    }
}

/// A pooler that moves sessions hides the backend of a transaction.
fn can_cancel(session: &Session) -> bool {
    session.scope() == Scope::Session || !session.is_behind_pooler()
}

/// The outcome of a wait that was canceled between two statements.
fn canceled() -> AcquireOutcome {
    AcquireOutcome::Failed(Failure::canceled())
}

/// A time within the bounds of a slice, another one each time: a crowd must not come and go in step.
fn slice() -> Duration {
    let (least, most) = SLICE;
    let random = RandomState::new().hash_one(Instant::now());
    Duration::from_millis(least + random % (most - least))
}
