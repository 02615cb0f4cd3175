//! Releasing a lock, now or when it has been kept for long enough, and saying whether it was still held.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::ids::{HoldId, Life};
use super::lock::Lock;
use super::pool::Lease;
use super::queue::Releasing;
use super::session::Conversation;
use super::session::answer::answered;
use super::state::{Held, State};
use crate::error::{Error, Failure};
use crate::model::options::Scope;
use crate::telemetry::Holding;
use crate::wire::Wire;
use crate::wire::outcome::Released;
use crate::wire::protocol;

/// Where the word goes whether the lock was held to the end of its call.
pub(super) type Reply = oneshot::Sender<Result<(), Error>>;

pub(super) fn begin(
    state: &Rc<State>,
    hold: HoldId,
    keep_until: Option<Instant>,
    reply: Option<Reply>,
) {
    match keep_until.filter(|until| *until > Instant::now()) {
        Some(until) => {
            // From now on, so that who drains next waits for it.
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

/// Ends a hold, and says how to release its lock.
fn end(
    state: &State,
    hold: HoldId,
    reply: Option<Reply>,
) -> Option<impl Future<Output = ()> + use<>> {
    let Held { lock, lease } = state.remove(hold)?;
    let holding = lease.session().holds().remove(hold);
    // Noted before the next command is looked at: see `Turns::releasing`.
    let releasing = lease.pool().turns().releasing(lock.key);
    Some(serve(lock, lease, holding, releasing, reply))
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
    // The caller is told what a release would have told it. Of a lock that is not held any more, the release tells.
    let is_held = {
        let conversation = session.conversation().await;
        let mut wire = conversation.wire();
        let asked = protocol::holds(&mut wire, lock.key, lock.mode);
        let answer = answered(&session, lock.database.heartbeat(), asked).await;
        answer.unwrap_or(false)
    };
    if is_held {
        if let Some(reply) = reply.take() {
            let _ = reply.send(Ok(()));
        }
        let mut life = session.life();
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            _ = life.wait_for(|life| *life != Life::Alive) => {}
        }
    }
    drop(session);
    if let Some(release) = end(&state, hold, reply) {
        release.await;
    }
}

async fn serve(
    lock: Lock,
    lease: Lease,
    holding: Option<Arc<Holding>>,
    releasing: Releasing,
    reply: Option<Reply>,
) {
    let released = release(&lock, &lease).await;
    if !matches!(released, Released::Yes) {
        lease.close_doubtful(&lock);
    }
    let life = lease.session().life();
    // The session is idle, and the key free, before the caller hears of it.
    drop(lease);
    drop(releasing);
    let result = match (&*life.borrow(), released) {
        (Life::Ended { why }, Released::Failed(failure)) => {
            Err(Error::lost_by(&lock.id, why, failure))
        }
        (_, released) => protocol::explain_release(&lock.id, released),
    };
    if let Some(holding) = holding {
        holding.released(&result);
    }
    if let Some(reply) = reply {
        // A caller that went away has no use for the answer.
        let _ = reply.send(result);
    }
}

async fn release(lock: &Lock, lease: &Lease) -> Released {
    let conversation = lease.session().conversation().await;
    if lease.session().is_given_up() {
        return Released::Failed(Failure::silent());
    }
    let released = answered(
        lease.session(),
        lease.pool().database().heartbeat(),
        converse(&conversation, lock, lease.session().backend().pid),
    );
    released
        .await
        .unwrap_or_else(|| Released::Failed(Failure::silent()))
}

async fn converse(conversation: &Conversation<'_>, lock: &Lock, pid: i32) -> Released {
    match lock.scope {
        Scope::Session => {
            protocol::release_own(&mut conversation.wire(), lock.key, lock.mode, pid).await
        }
        Scope::Transaction => match conversation.wire().simple_query("COMMIT").await {
            Ok(_) => Released::Yes,
            Err(failure) => Released::Failed(failure),
        },
    }
}
