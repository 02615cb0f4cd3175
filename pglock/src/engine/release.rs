//! Releasing a lock, and saying whether it was still held.

use tokio::sync::oneshot;

use super::heartbeat;
use super::pool::Lease;
use super::session::Conversation;
use super::turns::Releasing;
use crate::Error;
use crate::hold::{Life, Lock};
use crate::options::Scope;
use crate::outcome::Released;
use crate::protocol;
use crate::wire::{Failure, Wire};

pub(super) async fn serve(
    lock: Lock,
    lease: Lease,
    releasing: Releasing,
    reply: Option<oneshot::Sender<Result<(), Error>>>,
) {
    let released = release(&lock, &lease).await;
    if !matches!(released, Released::Yes) {
        lease.close_doubtful(&lock);
    }
    let life = lease.session().life();
    // The session is idle, and the key free, before the caller hears of it.
    drop(lease);
    drop(releasing);
    if let Some(reply) = reply {
        let result = match (&*life.borrow(), released) {
            (Life::Ended { why }, Released::Failed(failure)) => {
                Err(Error::lost_by(&lock.id, why, failure))
            }
            (_, released) => protocol::explain_release(&lock.id, released),
        };
        // A caller that went away has no use for the answer.
        let _ = reply.send(result);
    }
}

async fn release(lock: &Lock, lease: &Lease) -> Released {
    let conversation = lease.session().conversation().await;
    let bound = lease.pool().database().heartbeat().answer();
    let released = heartbeat::answered(lease.session(), bound, converse(&conversation, lock));
    released
        .await
        .unwrap_or_else(|| Released::Failed(Failure::silent()))
}

async fn converse(conversation: &Conversation<'_>, lock: &Lock) -> Released {
    match lock.scope {
        Scope::Session => {
            protocol::release_session(&mut conversation.wire(), lock.key, lock.mode, None).await
        }
        Scope::Transaction => match conversation.wire().simple_query("COMMIT").await {
            Ok(_) => Released::Yes,
            Err(failure) => Released::Failed(failure),
        },
    }
}
