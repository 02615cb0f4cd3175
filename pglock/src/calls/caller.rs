//! A caller whose lock is made of several.

use std::time::{Duration, Instant};

use crate::background::join_all;
use crate::engine::{self, DatabaseLock, HeldLock, Purpose, Request};
use crate::error::Error;
use crate::model::options::WaitPolicy;

/// For how long a caller that tries once waits for those before it, which need a round trip or two. Without that, two that
/// come at the same time could find each other in the way.
pub(super) const BEFORE_A_TRY: WaitPolicy = WaitPolicy::Millis(250);

pub(super) struct Caller {
    /// What it asked for.
    pub(super) request: Request,
    /// Whether it waits by blocking its thread.
    blocking: bool,
}

impl Caller {
    pub(super) fn new(request: Request, blocking: bool) -> Self {
        Self { request, blocking }
    }

    /// Until when it waits; `None` without a limit.
    pub(super) fn until(&self) -> Option<Instant> {
        let bound: Option<Duration> = self.request.wait.bound();
        bound.map(|bound| self.request.asked + bound)
    }

    /// Asks for one of the locks, having others of them.
    pub(super) async fn ask(
        &self,
        lock: DatabaseLock,
        having: &[HeldLock],
        wait: WaitPolicy,
        describe_holder: bool,
    ) -> Result<HeldLock, Error> {
        let request = Request {
            wait,
            asked: if wait == self.request.wait {
                self.request.asked
            } else {
                Instant::now()
            },
            describe_holder,
            ..self.request_for(lock, having)
        };
        if self.blocking {
            engine::acquire_blocking(request)
        } else {
            engine::acquire(request).await
        }
    }

    /// Tries to acquire several of the locks at once, having others of them: together they take one round trip.
    pub(super) async fn try_all(
        &self,
        locks: Vec<DatabaseLock>,
        having: &[HeldLock],
    ) -> Vec<Result<HeldLock, Error>> {
        let mut tries = Vec::with_capacity(locks.len());
        for lock in locks {
            tries.push(engine::acquire(Request {
                wait: WaitPolicy::NoWait,
                describe_holder: false,
                ..self.request_for(lock, having)
            }));
        }
        join_all(tries).await
    }

    fn request_for(&self, lock: DatabaseLock, having: &[HeldLock]) -> Request {
        let mut request = self.request.clone();
        if matches!(lock.purpose.as_deref(), Some(Purpose::Part)) {
            // Who is first in line only waits, and its session has other locks: nobody is to end that.
            request.sections = Box::default();
        }
        let had = having.iter().rev().map(|had| had.id);
        Request {
            lock,
            is_nested: request.is_nested || !having.is_empty(),
            enclosing: had.chain(request.enclosing).collect(),
            ..request
        }
    }
}
