//! Canceling a wait on a session of pglock's own, so that nothing stays queued and no cancel arrives at the next statement.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::pool::Lease;
use crate::model::lock_id::Key;
use crate::model::options::Scope;

/// How soon a wait that did not end is canceled again, at first and at last. A cancel that arrives before the wait begins
/// does nothing.
const AGAIN: Duration = Duration::from_millis(20);

const AGAIN_AT_LAST: Duration = Duration::from_millis(500);

/// How long the end of a canceled wait may take.
const BOUND: Duration = Duration::from_secs(2);

impl Lease {
    /// Cancels the wait for `key` on this session, and waits for its end. `None` if that is not seen: the session must not
    /// be used again.
    pub(super) async fn cancel_wait<T>(
        &self,
        key: Key,
        wait: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let session = self.session();
        if session.scope() == Scope::Transaction && session.is_behind_pooler() {
            // The backend of its transaction is not known. Its timeout may be about to end it. Closing our socket makes
            // the pooler close the server's, and the server, which checks every second for its client during a wait,
            // ends the wait.
            return timeout(AGAIN, wait).await.ok();
        }
        let bound = if session.held_locks().is_empty() {
            BOUND
        } else {
            // Closing it would take the locks of enclosing calls, which have nothing to do with a slow network.
            BOUND.max(self.pool().database().connect_timeout())
        };
        timeout(bound, self.cancel_until_it_ends(key, wait))
            .await
            .ok()
    }

    async fn cancel_until_it_ends<T>(
        &self,
        key: Key,
        mut wait: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        let (session, pool) = (self.session(), self.pool());
        let mut pause = AGAIN;
        loop {
            let ended = if pool.has_helper_at_hand() {
                let cancel = pool.cancel_waiter(session.backend().pid, key);
                // In a task of its own, since it must be over before the session is used again, or it would reach the
                // next statement.
                let canceled = tokio::task::spawn_local(cancel);
                let ended = timeout(pause, &mut wait).await;
                let _ = canceled.await;
                ended
            } else {
                // Unlike a cancel by the helper session, the request cancels whatever runs. So nothing is sent until it is
                // over.
                pool.request_cancel(session).await;
                timeout(pause, &mut wait).await
            };
            if let Ok(ended) = ended {
                return ended;
            }
            pause = AGAIN_AT_LAST.min(2 * pause);
        }
    }
}
