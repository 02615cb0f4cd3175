//! A wait on an async connection of the caller's that was dropped in the middle.
//!
//! The statement waits in the server still, and the connection is the caller's again: its next statement would wait
//! behind ours. So the wait is canceled, by a request on a socket of its own; it reaches the backend when it does, and
//! hits what runs there then. Too early it does nothing: so it is sent once the wait is seen to begin. Too late, when
//! the lock was granted in that moment, it would hit the caller's next statement (and it strikes twice, since the
//! server signals the backend and its process group): so statements that only sleep were sent in between,
//! [`sql::CATCH_LATE_CANCEL`](crate::sql::CATCH_LATE_CANCEL).

use std::time::{Duration, Instant};

use tokio_postgres::{CancelToken, NoTls};

use super::Answer;

/// When the answer to the wait, which comes only as the caller's runtime drives the connection, is overdue.
const CANCEL_AGAIN: Duration = Duration::from_secs(1);

/// A wait that goes on for so long can't be canceled; it ends with its own timeout.
const GIVE_UP: Duration = Duration::from_secs(10);

pub(crate) struct Abandoned {
    /// An empty statement before the wait: once it is answered, the wait is under way.
    pub(crate) started: Answer,
    pub(crate) wait: Answer,
    pub(crate) cancel: CancelToken,
}

impl Abandoned {
    pub(crate) async fn clean_up(mut self) {
        if self.started.rows().await.is_err() {
            return;
        }
        let began = Instant::now();
        while began.elapsed() < GIVE_UP {
            // Fails where the server wants TLS for it.
            let _ = self.cancel.cancel_query(NoTls).await;
            if tokio::time::timeout(CANCEL_AGAIN, self.wait.rows())
                .await
                .is_ok()
            {
                return;
            }
        }
    }
}
