//! A wait on an async connection of the caller's that was dropped in the middle.
//!
//! The statement waits in the server still, and the connection is the caller's again: its next statement would wait
//! behind ours. So the wait is canceled, by a request on a socket of its own; it reaches the backend when it does, and
//! hits what runs there then. Too early it does nothing: so it is sent once the wait is seen to begin, and again while
//! the wait is not seen to end. Too late it would hit the caller's next statement (and it strikes twice, since the
//! server signals the backend and its process group): so statements that only sleep were sent in between,
//! [`sql::cancel::SLEEPS`](crate::sql::cancel::SLEEPS) of them, for longer than all requests together may take.
//!
//! Answers come only as the caller's runtime drives the connection. So silence proves nothing, and the requests that
//! are sent into it are so few that the sleeps can catch them all.

use std::time::Duration;

use tokio_postgres::CancelToken;

use super::answer::Answer;
use crate::database::tls;

/// How long sending a request may take, and how long its effect is waited for before the next.
const CANCEL_BOUND: Duration = Duration::from_millis(150);

/// How many requests are sent at most.
const ATTEMPTS: usize = 2;

pub(crate) struct DroppedWait {
    /// A statement before the wait: once it is answered, the wait is under way. Where it says true there is none, and
    /// what a cancel would hit is the caller's.
    pub(crate) started: Answer,
    pub(crate) wait: Answer,
    pub(crate) cancel: CancelToken,
}

impl DroppedWait {
    pub(crate) async fn clean_up(mut self) {
        let waits = matches!(self.started.rows().await, Ok(rows) if rows.last_bool() != Some(true));
        if !waits {
            return;
        }
        for _ in 0..ATTEMPTS {
            // Fails where the driver insists on TLS and we have none; then the wait ends with its own timeout.
            let _ = tokio::time::timeout(CANCEL_BOUND, tls::cancel(&self.cancel)).await;
            let ended = tokio::time::timeout(CANCEL_BOUND, self.wait.rows()).await;
            if ended.is_ok() {
                return;
            }
        }
    }
}
