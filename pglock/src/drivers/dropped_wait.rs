//! Cancels a wait for a lock on the caller's async connection whose future was dropped.
//!
//! The statement still waits in the server, and the caller's next statement on the connection would wait behind it. The
//! wait is canceled by a cancel request of the protocol: it travels on a socket of its own, and interrupts whatever the
//! backend runs when it arrives.
//!
//! - Before the wait it does nothing. So it is sent once the answer to the statement before the wait has arrived, and
//!   again if the wait has not ended.
//! - After the wait it would cancel the caller's next statement, even two of them, since the server signals the backend and
//!   its process group. So [`sql::cancel::SLEEPS`](crate::sql::cancel::SLEEPS) statements that only sleep were sent after
//!   the wait, for longer than all requests can take.
//!
//! Answers arrive only while the caller's runtime drives the connection, so a missing answer proves nothing. The number of
//! requests is therefore limited to what the sleeps can take.

use std::future::{pending, ready};
use std::pin::Pin;
use std::time::Duration;

use tokio_postgres::CancelToken;

use crate::database::tls;

/// How long a request may take to send, and how long to wait for its effect before the next one.
const CANCEL_BOUND: Duration = Duration::from_millis(150);

/// The most requests that are sent.
const ATTEMPTS: usize = 2;

pub(super) struct DroppedWait {
    pub(super) watched: Watched,
    pub(super) cancel: CancelToken,
}

/// What can be seen of a wait when its future is gone.
pub(super) struct Watched {
    /// Whether the wait has begun, once the statement before it has been answered. If not, the session is in a transaction
    /// of the caller's, there is no wait, and a cancel would interrupt the caller.
    pub(super) begins: Pin<Box<dyn Future<Output = bool> + Send>>,
    pub(super) ends: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Of a driver whose answers end with their future: nothing is seen. It asks before it sends the wait.
impl Default for Watched {
    fn default() -> Self {
        Self {
            begins: Box::pin(ready(true)),
            ends: Box::pin(pending()),
        }
    }
}

impl DroppedWait {
    pub(super) async fn clean_up(mut self) {
        if !self.watched.begins.await {
            return;
        }
        for _ in 0..ATTEMPTS {
            // Fails when the driver insists on TLS and we have none; the wait then ends with its slice, or its timeout.
            let _ = tokio::time::timeout(CANCEL_BOUND, tls::cancel(&self.cancel)).await;
            let ended = tokio::time::timeout(CANCEL_BOUND, &mut self.watched.ends).await;
            if ended.is_ok() {
                return;
            }
        }
    }
}
