//! Releasing a lock, now or at the end of `hold_at_least`, and reporting whether it was still held.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::ids::{HoldId, SessionState};
use super::lock::DatabaseLock;
use super::pool::Lease;
use super::queue::PendingRelease;
use super::session::Exclusive;
use super::session::answer::answered;
use super::state::{Entry, State};
use crate::error::{Error, Failure};
use crate::model::options::Scope;
use crate::sql;
use crate::telemetry::HoldRecord;
use crate::wire::SimpleQuery;
use crate::wire::protocol;
use crate::wire::reply::Released;

/// Receives whether the lock was held until the end of its call.
pub(super) type Reply = oneshot::Sender<Result<(), Error>>;

pub(super) fn begin(
    state: &Rc<State>,
    hold: HoldId,
    keep_until: Option<Instant>,
    reply: Option<Reply>,
) {
    match keep_until.filter(|until| *until > Instant::now()) {
        Some(until) => {
            // Counted from now on, so that a `drain` that comes next waits for it.
            let kept = state.keep();
            tokio::task::spawn_local(keep(Rc::clone(state), hold, until, reply, kept));
        }
        None => {
            if let Some(release) = end(state, hold, reply) {
                tokio::task::spawn_local(release);
            }
        }
    }
}

/// Removes a lock from the state. The future releases it.
fn end(
    state: &State,
    hold: HoldId,
    reply: Option<Reply>,
) -> Option<impl Future<Output = ()> + use<>> {
    let Entry { lock, lease } = state.remove(hold)?;
    let record = lease.session().held_locks().remove(hold);
    // Before the next task runs, so that an acquire that was sent later waits for this release.
    let pending = lease.pool().wait_queues().begin_release(lock.key);
    Some(serve(lock, lease, record, pending, reply))
}

/// Keeps a lock after its call, and then releases it.
async fn keep(
    state: Rc<State>,
    hold: HoldId,
    until: Instant,
    mut reply: Option<Reply>,
    _drains_later: watch::Receiver<()>,
) {
    let kept = state.with_held(hold, |held| {
        let session = Rc::clone(held.lease.session());
        (held.lock.clone(), session)
    });
    let Some((lock, session)) = kept else {
        return;
    };
    // The caller gets the answer that a release would give it. If the lock is no longer held, the release below gives
    // it.
    let is_held = {
        let exclusive = session.exclusive().await;
        let mut wire = exclusive.wire();
        let query = protocol::holds(&mut wire, lock.key, lock.mode);
        let answer = answered(&session, lock.database.liveness(), query).await;
        answer.unwrap_or(false)
    };
    if is_held {
        if let Some(reply) = reply.take() {
            let _ = reply.send(Ok(()));
        }
        let mut state = session.state();
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            _ = state.wait_for(|state| *state != SessionState::Open) => {}
        }
    }
    drop(session);
    if let Some(release) = end(&state, hold, reply) {
        release.await;
    }
}

async fn serve(
    lock: DatabaseLock,
    lease: Lease,
    record: Option<Arc<HoldRecord>>,
    pending: PendingRelease,
    reply: Option<Reply>,
) {
    let released = release(&lock, &lease).await;
    if !matches!(released, Released::Yes) {
        lease.close_broken(&lock);
    }
    let state = lease.session().state();
    // The session is idle and the key is free before the caller continues.
    drop(lease);
    drop(pending);
    let result = match (&*state.borrow(), released) {
        (SessionState::Closed { reason }, Released::Failed(failure)) => {
            Err(Error::lost(&lock.id, reason).caused_by(failure))
        }
        (_, released) => protocol::explain_release(&lock.id, released),
    };
    if let Some(record) = record {
        record.released(&result);
    }
    if let Some(reply) = reply {
        // A caller that went away has no use for the answer.
        let _ = reply.send(result);
    }
}

async fn release(lock: &DatabaseLock, lease: &Lease) -> Released {
    let exclusive = lease.session().exclusive().await;
    if lease.session().is_given_up() {
        return Released::Failed(Failure::silent());
    }
    let released = answered(
        lease.session(),
        lease.pool().database().liveness(),
        converse(&exclusive, lock, lease.session().backend().pid),
    );
    released
        .await
        .unwrap_or_else(|| Released::Failed(Failure::silent()))
}

async fn converse(exclusive: &Exclusive<'_>, lock: &DatabaseLock, pid: i32) -> Released {
    match lock.scope {
        Scope::Session => {
            protocol::release_own(&mut exclusive.wire(), lock.key, lock.mode, pid).await
        }
        Scope::Transaction => match exclusive
            .wire()
            .simple_query(sql::transaction::COMMIT)
            .await
        {
            Ok(_) => Released::Yes,
            Err(failure) => Released::Failed(failure),
        },
    }
}
