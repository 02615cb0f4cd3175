//! A caller's request for a lock.

use std::sync::Arc;
use std::time::Instant;

use super::ids::SectionId;
use super::ledger::{HoldId, LedgerRequest};
use super::lock::DatabaseLock;
use crate::database::Database;
use crate::model::options::{Scope, WaitPolicy};
use crate::telemetry::{TraceContext, WaitReport};

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) lock: DatabaseLock,
    pub(crate) wait: WaitPolicy,
    /// When the caller asked, from which its timeout counts.
    pub(crate) asked: Instant,
    /// Whether the enclosing calls hold any lock, in whatever database.
    pub(crate) is_nested: bool,
    /// What the enclosing calls hold in the same database, the innermost first.
    pub(crate) enclosing: Vec<HoldId>,
    /// What they hold through other handles that may be of the same server.
    pub(crate) elsewhere: Box<[HoldElsewhere]>,
    /// Whether to look up who holds a lock that is busy.
    pub(crate) describe_holder: bool,
    /// Where to report that the wait lasts, if somebody listens.
    pub(crate) wait_report: Option<Arc<WaitReport>>,
    /// Where it was requested.
    pub(crate) context: TraceContext,
    /// The enclosing prioritized sections, which this wait belongs to.
    pub(crate) sections: Box<[SectionId]>,
}

/// A lock that a caller has through another handle than the one through which it requests a lock.
#[derive(Clone)]
pub(crate) struct HoldElsewhere {
    pub(crate) database: Database,
    pub(crate) hold: HoldId,
}

impl Request {
    pub(super) fn does_not_wait(&self) -> bool {
        self.wait == WaitPolicy::NoWait
    }

    /// Whether the lock is to be on a session that it shares with no other.
    ///
    /// A transaction lock is one with its session, and a dedicated one was asked for. The blockers of a prioritized wait are
    /// found in the server only, so it has to wait there, and can't be polled.
    pub(super) fn needs_own_session(&self) -> bool {
        self.lock.scope == Scope::Transaction || self.lock.dedicated || !self.sections.is_empty()
    }
}

impl<'r> From<&'r Request> for LedgerRequest<'r> {
    fn from(request: &'r Request) -> Self {
        Self {
            key: request.lock.key,
            mode: request.lock.mode,
            no_wait: request.does_not_wait(),
            own_session: request.needs_own_session(),
            enclosing: &request.enclosing,
            holds_elsewhere: !request.elsewhere.is_empty(),
        }
    }
}
