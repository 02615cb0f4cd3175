//! Why an event happened that ends requests or holds, and the errors of those whom it concerns.

use std::time::Duration;

use crate::engine::ids::SessionState;
use crate::engine::ledger::FailureReason;
use crate::engine::lock::DatabaseLock;
use crate::engine::session::{BROKEN, NoSession, Session};
use crate::error::{Error, Failure};
use crate::wire::protocol;
use crate::wire::reply::Released;

pub(super) enum Cause {
    /// A session could not be opened.
    NoSession(NoSession),
    /// A statement failed.
    Failed(Failure),
    /// A session has ended, or was closed.
    Ended {
        reason: String,
        failure: Option<Failure>,
    },
    /// A pooler has moved the session to another backend.
    Pooler,
    /// The server's lock table is half full.
    LockTable,
}

/// How long the task that drives a session may take to notice its end, after a statement has failed by it.
const NOTICE: Duration = Duration::from_millis(100);

impl Cause {
    /// The end of a session, which a statement has seen or its task. To be asked for before another conversation begins.
    pub(super) async fn ended(session: &Session, failure: Option<Failure>) -> Self {
        let mut state = session.state();
        let closed = state.wait_for(|state| *state != SessionState::Open);
        let reason = match tokio::time::timeout(NOTICE, closed).await {
            Ok(Ok(state)) => match &*state {
                SessionState::Closed { reason } => reason.clone(),
                SessionState::Open => BROKEN.to_owned(),
            },
            // The task has ended without a message.
            Ok(Err(_)) | Err(_) => BROKEN.to_owned(),
        };
        Self::Ended { reason, failure }
    }

    /// Whether the server has ended the session, and said so.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, Self::Ended { failure: Some(failure), .. } if failure.sql_state.is_some())
    }

    /// The error of a request that failed. `before` says why no session to wait on could be opened a moment ago.
    pub(super) fn not_acquired(
        cause: Option<&Self>,
        before: Option<&NoSession>,
        why: FailureReason,
        lock: &DatabaseLock,
    ) -> Error {
        let place = || lock.database.place();
        // What happens at this moment may be the end of another session, which goes with the same server.
        if let (FailureReason::NoWaitSession, Some(before)) = (why, before) {
            return before.explain(lock, &place());
        }
        match (why, cause) {
            (FailureReason::LockTableFull, _) | (_, Some(Self::LockTable)) => {
                Error::lock_table(&lock.id, &place())
            }
            (_, Some(Self::NoSession(why))) => why.explain(lock, &place()),
            (FailureReason::NoWaitSession, _) => Error::no_wait_session(&lock.id, &place()),
            (_, Some(Self::Pooler)) => Error::pooler(lock, &place()),
            (_, Some(Self::Failed(failure))) => Error::not_acquired(&lock.id, failure.clone()),
            (_, Some(Self::Ended { failure, .. })) => Error::not_acquired(
                &lock.id,
                failure.clone().unwrap_or_else(Failure::session_ended),
            ),
            (_, None) => Error::not_acquired(&lock.id, Failure::session_ended()),
        }
    }

    /// The error of a request that would have waited for itself.
    pub(super) fn deadlock(cause: Option<&Self>, lock: &DatabaseLock) -> Error {
        match cause {
            Some(Self::Failed(failure)) => Error::not_acquired(&lock.id, failure.clone()),
            _ => Error::deadlock(&lock.id),
        }
    }

    /// The error of a hold that was lost.
    pub(super) fn lost(cause: Option<&Self>, lock: &DatabaseLock) -> Error {
        match cause {
            Some(Self::Ended {
                reason,
                failure: Some(failure),
            }) => Error::lost(&lock.id, reason).caused_by(failure.clone()),
            Some(Self::Ended {
                reason,
                failure: None,
            }) => Error::lost(&lock.id, reason),
            Some(Self::Pooler) => match protocol::explain_release(&lock.id, Released::WrongBackend)
            {
                Err(error) => error,
                Ok(()) => Error::lost(&lock.id, "a pooler moved its session"),
            },
            Some(Self::NoSession(_) | Self::Failed(_) | Self::LockTable) | None => {
                Error::lost(&lock.id, "its session was closed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::model::lock_request::LockSpec;
    use crate::model::options::{AdvisoryMode, Scope};

    #[test]
    fn who_gets_no_session_to_wait_on_is_told_why_none_could_be_opened() {
        let database = Database::builder("postgres://app@localhost/app").build();
        let lock = DatabaseLock {
            spec: LockSpec::new(1.into(), AdvisoryMode::Exclusive, None).unwrap(),
            scope: Scope::Session,
            dedicated: false,
            reentrant: true,
            purpose: None,
            database: database.unwrap(),
        };
        let before = NoSession::Failed(Failure::session_ended());
        let ended = Cause::Ended {
            reason: "another session has ended".to_owned(),
            failure: None,
        };
        let told =
            |cause, before| Cause::not_acquired(cause, before, FailureReason::NoWaitSession, &lock);
        for cause in [None, Some(&ended)] {
            let error = told(cause, Some(&before));
            assert!(error.is_connect(), "{error}");
            // All of them wait.
            assert!(told(cause, None).is_environment());
        }
    }
}
