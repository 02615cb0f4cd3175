//! Errors of prioritized sections and their watcher.

use std::error::Error as StdError;
use std::time::Duration;

use tokio::task::JoinError;

use super::{Error, ErrorKind, Failure, SEE_SOURCE, humanize};

/// What a side effect of the caller's reports.
impl Error {
    /// An error from your own [side effect](crate::PrioritizeSideEffect); the section returns it at its end.
    ///
    /// ```
    /// let error = pglock::Error::side_effect("the pager is not reachable");
    /// assert_eq!(error.kind(), pglock::ErrorKind::SideEffect);
    /// ```
    pub fn side_effect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::SideEffect,
            format!("the side effect of a prioritized section failed; {SEE_SOURCE}"),
        )
        .sourced(source)
    }
}

impl Error {
    pub(crate) fn not_prioritized(failure: Failure) -> Self {
        Self::statement_failed(failure, "prioritize this connection")
    }

    /// The watcher's own connection has no database to connect to.
    pub(crate) fn no_watcher(mut self) -> Self {
        self.0.message = format!(
            "the watcher of prioritized sections needs a connection of its own: {}",
            self.0.message
        );
        self
    }

    /// An error of the watcher's session. About a standby it has a sentence of its own, since a watcher takes no locks.
    pub(crate) fn of_watcher(mut self, place: &str) -> Self {
        if self.0.is_of_standby {
            self.0.message = format!(
                "cannot prioritize on {place}: it is a standby, where sessions wait for the replay of the primary's changes, which must not be signaled; name the primary, or all hosts with `target_session_attrs=primary`"
            );
        }
        self
    }

    pub(crate) fn watch_failed(failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session of the watcher of prioritized sections ended during a poll, so blocking sessions may or may not have been signaled; check the server's log".to_owned(),
            )
        } else {
            (
                ErrorKind::Database,
                format!(
                    "postgres refused a poll of the watcher of prioritized sections, so blocking sessions may not have been signaled; {SEE_SOURCE}"
                ),
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn watch_timeout(after: Duration) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "a poll of the watcher of prioritized sections got no answer within {}, so blocking sessions may still be signaled; check the server and the network",
                humanize::duration(after)
            ),
        )
    }

    pub(crate) fn watch_lost() -> Self {
        Self::new(
            ErrorKind::Connect,
            "pglock's thread ended while it watched a prioritized section, so blocking sessions may not have been signaled; call again, which starts a new thread",
        )
    }

    pub(crate) fn watch_lost_to_fork() -> Self {
        Self::config(
            "a prioritized section is watched only in the process that began it, and this process was forked from that one; begin the section after the fork",
        )
    }

    pub(crate) fn section_not_found(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "cannot prioritize session {pid}: there is no such session on {place}, where the watcher connects; name the database of the connection with `using`, unless the session has ended"
        ))
    }

    pub(crate) fn section_elsewhere(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "cannot prioritize session {pid}: the watcher connects to {place}, and the session is in another database of that server; name its database with `using`"
        ))
    }

    pub(crate) fn side_effect_panicked(ended: JoinError) -> Self {
        let why = match ended.try_into_panic() {
            Ok(payload) => match payload.downcast_ref::<&str>() {
                Some(text) => (*text).to_owned(),
                None => payload
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or_else(|| "without a message".to_owned()),
            },
            Err(_) => "the process is exiting".to_owned(),
        };
        Self::new(
            ErrorKind::SideEffect,
            format!("the side effect of a prioritized section panicked ({why}); fix its `worker`"),
        )
    }
}
