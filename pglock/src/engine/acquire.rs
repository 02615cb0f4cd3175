//! Acquiring a lock: queue in the process, get a session, wait in the server, and cancel if the caller goes away.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hold::HeldLock;
use super::ids::{EnclosingLocks, SectionId};
use super::lock::DatabaseLock;
use super::pool::{Lease, Pool};
use super::queue::QueuePermit;
use super::state::State;
use crate::error::{Error, Failure, Holder, SKIP};
use crate::model::options::WaitPolicy;
use crate::telemetry::{HoldRecord, Subject, TraceContext};
use crate::wire::protocol::{self, AcquireOutcome};

/// How long an acquire waits for pending releases of the same key in this process.
const RELEASE_BOUND: Duration = Duration::from_secs(1);

/// A session that was idle and fails this soon had died before it was used, not while it waited.
const DIED_WHILE_IDLE: Duration = Duration::from_millis(100);

/// A caller's request for a lock.
pub(crate) struct Request {
    pub(crate) lock: DatabaseLock,
    pub(crate) wait: WaitPolicy,
    /// What the enclosing calls hold.
    pub(crate) enclosing: Option<EnclosingLocks>,
    /// Whether a call that holds any lock made this request: it may be what the users of all sessions wait for.
    pub(crate) is_nested: bool,
    /// Whether to look up who holds a lock that is busy.
    pub(crate) describe_holder: bool,
    /// Where it was requested.
    pub(crate) context: TraceContext,
    /// The enclosing prioritized sections, which this wait belongs to.
    pub(crate) sections: Vec<SectionId>,
}

/// Where the lock goes; closed when the caller has gone away.
pub(super) type Reply = oneshot::Sender<Result<HeldLock, Error>>;

/// Begins to serve a request.
pub(super) fn begin(state: &Rc<State>, request: Request, reply: Reply) {
    let pool = state.pool(&request.lock.database);
    tokio::task::spawn_local(serve(Rc::clone(state), pool, request, reply));
}

async fn serve(state: Rc<State>, pool: Rc<Pool>, request: Request, mut reply: Reply) {
    let prepared = tokio::select! {
        biased;
        () = reply.closed() => return,
        prepared = prepare(&pool, &request) => prepared,
    };
    let result = match prepared {
        Ok(prepared) => attempt(&state, prepared, &request, &mut reply).await,
        Err(error) => Err(error),
    };
    // If the caller has gone away, `send` returns the lock, and dropping it releases it.
    drop(reply.send(result));
}

/// What an attempt needs. The permit is kept until the statement has ended.
struct Prepared {
    lease: Lease,
    wait: WaitPolicy,
    _permit: Option<QueuePermit>,
}

async fn prepare(pool: &Rc<Pool>, request: &Request) -> Result<Prepared, Error> {
    let (lock, wait) = (&request.lock, request.wait);
    let began = Instant::now();
    // A prioritized wait skips the queue: its blockers are found in the server only.
    let queues_here =
        request.enclosing.is_none() && request.sections.is_empty() && wait != WaitPolicy::NoWait;
    let permit = async {
        let released = pool.wait_queues().until_released(lock.key);
        // A release that hangs must not block others from asking the server.
        let _ = tokio::time::timeout(RELEASE_BOUND, released).await;
        if queues_here {
            Some(Rc::clone(pool.wait_queues()).enter(lock.key).await)
        } else {
            None
        }
    };
    let permit = match wait {
        WaitPolicy::NoWait | WaitPolicy::Block => permit.await,
        WaitPolicy::Millis(millis) => {
            let bound = Duration::from_millis(u64::from(millis.unsigned_abs()));
            match tokio::time::timeout(bound, permit).await {
                Ok(permit) => permit,
                Err(_) => return Err(busy_behind_others(pool, request).await),
            }
        }
    };
    let mut wait = remaining(wait, began.elapsed());
    // A call that holds a lock waits in the server at once, on the session of that lock, where Postgres sees deadlocks.
    // This is looked up last, so that no other conversation begins on that session in between.
    let enclosing = pool.enclosing_session(lock, request.enclosing.as_ref());
    let lease = if let Some(lease) = enclosing {
        lease
    } else {
        let session = pool.session_for(lock, began, wait, request.is_nested);
        let (lease, held_up) = session.await?;
        wait = remaining(wait, held_up);
        lease
    };
    Ok(Prepared {
        lease,
        wait,
        _permit: permit,
    })
}

fn remaining(wait: WaitPolicy, spent: Duration) -> WaitPolicy {
    match wait {
        WaitPolicy::NoWait | WaitPolicy::Block => wait,
        WaitPolicy::Millis(millis) => {
            let spent = i32::try_from(spent.as_millis()).unwrap_or(i32::MAX);
            WaitPolicy::Millis(millis.saturating_sub(spent).max(1))
        }
    }
}

fn busy(request: &Request, holder: Option<Holder>) -> Error {
    Error::busy(&request.lock.id, request.wait.bound(), holder, SKIP)
}

/// The error for a timeout in this process's queue. The server was not asked yet, and the caller at the head of the
/// queue may hang in connecting. So it is asked now: an unreachable database must not look like a busy lock.
async fn busy_behind_others(pool: &Rc<Pool>, request: &Request) -> Error {
    match pool.holder(&request.lock).await {
        Ok(holder) => busy(request, holder),
        Err(error) => error,
    }
}

async fn attempt(
    state: &State,
    prepared: Prepared,
    request: &Request,
    reply: &mut Reply,
) -> Result<HeldLock, Error> {
    let Prepared {
        mut lease,
        wait,
        _permit,
    } = prepared;
    // A full lock table stops the server for everybody: statements that have nothing to do with pglock fail.
    if lease.pool().locks_held() >= lease.session().lock_table() / 2 {
        let place = lease.pool().database().place();
        return Err(Error::lock_table(&request.lock.id, &place));
    }
    let began = Instant::now();
    let mut outcome = converse(state, &lease, request, wait, reply).await;
    if let AcquireOutcome::Failed(failure) = &outcome
        && failure.session_ended
        && lease.was_idle()
        && began.elapsed() < DIED_WHILE_IDLE
    {
        lease = Rc::clone(lease.pool())
            .replacement_for(&request.lock)
            .await?;
        outcome = converse(state, &lease, request, wait, reply).await;
    }
    let lock = &request.lock;
    match &outcome {
        AcquireOutcome::WrongBackend | AcquireOutcome::InTransaction => {
            lease.close_wrong_backend(lock);
            return Err(Error::pooler(lock, &lease.pool().database().place()));
        }
        AcquireOutcome::Broken(_) => lease.close_broken(lock),
        AcquireOutcome::Granted | AcquireOutcome::Busy | AcquireOutcome::Failed(_) => {}
    }
    if protocol::explain_acquire(&lock.id, outcome, Error::inside_a_transaction)? {
        return Ok(granted(state, request, lease));
    }
    let holder = if request.describe_holder {
        lease.holder(lock.key).await
    } else {
        None
    };
    Err(busy(request, holder))
}

fn granted(state: &State, request: &Request, lease: Lease) -> HeldLock {
    let lock = request.lock.clone();
    let record = Arc::new(HoldRecord::begin(Subject::from(&lock), &request.context));
    let (session, session_state) = (lease.session().id(), lease.session().state());
    let id = state.add(lock.clone(), &record, lease);
    HeldLock::new(lock, id, session, session_state, record)
}

/// Asks the server for the lock, and cancels the wait if the caller goes away.
async fn converse(
    state: &State,
    lease: &Lease,
    request: &Request,
    wait: WaitPolicy,
    reply: &mut Reply,
) -> AcquireOutcome {
    let lock = &request.lock;
    let session = lease.session();
    let sections = &request.sections;
    let waiting =
        (!sections.is_empty()).then(|| state.section_waits().begin(sections, session.backend()));
    let exclusive = session.exclusive().await;
    let mut acquire = pin!(exclusive.acquire(lock, wait));
    let outcome = tokio::select! {
        outcome = &mut acquire => outcome,
        () = reply.closed() => {
            let ended = lease.cancel_wait(lock, acquire).await;
            ended.unwrap_or_else(|| AcquireOutcome::Broken(Failure::unexpected_answer()))
        }
    };
    if let Some(waiting) = waiting {
        waiting.end().await;
    }
    outcome
}
