//! A wait on an async connection of the caller's that was dropped in the middle.
//!
//! The statement waits in the server still, and the connection is the caller's again: its next statement would wait
//! behind ours. So the wait is canceled, by a request on a socket of its own; it reaches the backend when it does, and
//! hits what runs there then. Too early it does nothing: so it is sent once the wait is seen to begin. Too late, when
//! the lock was granted in that moment, it would hit the caller's next statement (and it strikes twice, since the
//! server signals the backend and its process group): so statements that only sleep were sent in between,
//! [`sql::CATCH_LATE_CANCEL`](crate::sql::CATCH_LATE_CANCEL), and a request that takes longer than they do is given up.
//! It is sent once: that no answer comes may be the caller's runtime, which delivers it, and not the wait.

use std::time::Duration;

use tokio_postgres::{CancelToken, NoTls};

use super::Answer;

/// How long the request may take to be sent: less than the sleep, by the time that it then takes to arrive.
const CANCEL_BOUND: Duration = Duration::from_millis(150);

pub(crate) struct Abandoned {
    /// A statement before the wait: once it is answered, the wait is under way. Where it says true there is none, and
    /// what a cancel would hit is the caller's.
    pub(crate) started: Answer,
    pub(crate) cancel: CancelToken,
}

impl Abandoned {
    pub(crate) async fn clean_up(mut self) {
        let waits = matches!(self.started.rows().await, Ok(rows) if rows.last_bool() != Some(true));
        if waits {
            // Where the server wants TLS for it, or is far away, the wait ends with its own timeout.
            let _ = tokio::time::timeout(CANCEL_BOUND, self.cancel.cancel_query(NoTls)).await;
        }
    }
}
