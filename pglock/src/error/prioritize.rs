//! What is said of prioritized sections and their watcher.

use std::error::Error as StdError;
use std::time::Duration;

use tokio::task::JoinError;

use super::{Error, ErrorKind, Failure};

/// Of a side effect's own.
impl Error {
    /// An error of a [side effect](crate::PrioritizeSideEffect) of your own, for the end of the section.
    ///
    /// ```
    /// let error = pglock::Error::side_effect("the pager is away");
    /// assert_eq!(error.kind(), pglock::ErrorKind::SideEffect);
    /// ```
    pub fn side_effect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::SideEffect,
            "the side effect of a prioritized section failed; the source says why",
        )
        .sourced(source)
    }
}

impl Error {
    pub(crate) fn not_prioritized(failure: Failure) -> Self {
        Self::statement_failed(
            failure,
            "a connection was to be prioritized",
            "the session that was to be prioritized has ended; connect again",
            "postgres refused to tell the session that was to be prioritized; the source says why",
        )
    }

    /// The watcher has no database to look at.
    pub(crate) fn no_watcher(mut self) -> Self {
        self.0.message = format!(
            "the watcher of prioritized sections needs a connection of its own: {}",
            self.0.message
        );
        self
    }

    pub(crate) fn watch_failed(failure: Failure) -> Self {
        let (kind, message) = if failure.session_ended {
            (
                ErrorKind::Connect,
                "the session of the watcher of prioritized sections ended at a look, so who was in the way may or may not have been hit; look at the server's log",
            )
        } else {
            (
                ErrorKind::Database,
                "postgres refused a look of the watcher of prioritized sections, so who was in the way may not have been hit; the source says why",
            )
        };
        Self::new(kind, message).caused_by(failure)
    }

    pub(crate) fn watch_timeout(after: Duration) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!(
                "a look of the watcher of prioritized sections had no answer within {after:?}, so who was in the way may still be hit; check the server and the network"
            ),
        )
    }

    pub(crate) fn watch_lost() -> Self {
        Self::new(
            ErrorKind::Connect,
            "pglock's thread ended while it watched a prioritized section, so who was in the way may not have been hit; call again, and a new one starts",
        )
    }

    pub(crate) fn watch_lost_to_fork() -> Self {
        Self::config(
            "a prioritized section is watched in the process that began it, and this one was forked from it; begin it after the fork",
        )
    }

    pub(crate) fn section_not_found(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "the watcher looks at {place}, and there is no session {pid} there to prioritize; name the database of the connection with `using`, unless the session has ended"
        ))
    }

    pub(crate) fn section_elsewhere(pid: i32, place: &str) -> Self {
        Self::config(format!(
            "the watcher looks at {place}, and session {pid}, which is to be prioritized, is in another database there; name that with `using`"
        ))
    }

    pub(crate) fn side_effect_panicked(ended: JoinError) -> Self {
        let why = match ended.try_into_panic() {
            Ok(payload) => match payload.downcast_ref::<&str>() {
                Some(text) => (*text).to_owned(),
                None => payload
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or_else(|| "no text".to_owned()),
            },
            Err(_) => "the process ends".to_owned(),
        };
        Self::new(
            ErrorKind::SideEffect,
            format!("the side effect of a prioritized section panicked ({why}); mend its `worker`"),
        )
    }
}
