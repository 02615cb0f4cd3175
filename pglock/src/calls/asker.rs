//! What the requests of one caller have in common.

use std::sync::Arc;
use std::time::Instant;

use crate::background::join_all;
use crate::calls::call_stack;
use crate::engine::{self, DatabaseLock, HeldLock, HoldId, Request, SectionId};
use crate::error::Error;
use crate::model::options::WaitPolicy;
use crate::telemetry::{TraceContext, WaitReport};

/// A caller that asks for a lock, or for the several that it is made of.
#[derive(Clone)]
pub(super) struct Asker {
    /// When it began, from which its timeout counts.
    pub(super) asked: Instant,
    /// Whether it waits by blocking its thread.
    is_blocking: bool,
    is_nested: bool,
    enclosing: Vec<HoldId>,
    context: TraceContext,
    wait_report: Option<Arc<WaitReport>>,
    sections: Vec<SectionId>,
}

impl Asker {
    /// The call that runs here.
    pub(super) fn here(
        lock: &DatabaseLock,
        is_blocking: bool,
        wait_report: Option<Arc<WaitReport>>,
    ) -> Self {
        Self {
            asked: Instant::now(),
            is_blocking,
            is_nested: call_stack::holds_any_lock(),
            enclosing: call_stack::enclosing(lock),
            context: TraceContext::here(),
            wait_report,
            sections: call_stack::sections(),
        }
    }

    /// Asks for a lock.
    pub(super) async fn ask(
        self,
        lock: DatabaseLock,
        wait: WaitPolicy,
        describe_holder: bool,
    ) -> Result<HeldLock, Error> {
        let is_blocking = self.is_blocking;
        let request = self.request(lock, wait, describe_holder);
        if is_blocking {
            engine::acquire_blocking(request)
        } else {
            engine::acquire(request).await
        }
    }

    /// Tries to acquire several locks at once: together they take one round trip.
    pub(super) async fn try_all(&self, locks: Vec<DatabaseLock>) -> Vec<Result<HeldLock, Error>> {
        let mut tries = Vec::with_capacity(locks.len());
        for lock in locks {
            let request = self.clone().request(lock, WaitPolicy::NoWait, false);
            tries.push(engine::acquire(request));
        }
        join_all(tries).await
    }

    fn request(self, lock: DatabaseLock, wait: WaitPolicy, describe_holder: bool) -> Request {
        Request {
            lock,
            wait,
            describe_holder,
            asked: self.asked,
            is_nested: self.is_nested,
            enclosing: self.enclosing,
            context: self.context,
            wait_report: self.wait_report,
            sections: self.sections,
        }
    }
}
