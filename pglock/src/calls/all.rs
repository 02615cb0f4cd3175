//! Several locks, or none of them.
//!
//! They are asked for in the order of their keys, and a lock is waited for only by who has those before it. So callers that
//! want several of the same locks never wait for each other in a ring. All are tried at once first, which takes one round trip
//! where they are free.

use std::pin::Pin;
use std::sync::Arc;

use crate::background::join_all;
use crate::calls::caller::{BEFORE_A_TRY, Caller};
use crate::engine::{self, DatabaseLock, HeldLock, Request};
use crate::error::Error;
use crate::model::options::WaitPolicy;

/// A caller that wants several locks.
pub(super) struct All {
    caller: Caller,
    /// By their keys.
    locks: Vec<DatabaseLock>,
    /// Those that calls around this one have.
    shared: Vec<Arc<HeldLock>>,
}

impl All {
    /// `locks` is at least one, by their keys; `shared` are had already.
    pub(super) fn new(
        request: Request,
        locks: Vec<DatabaseLock>,
        shared: Vec<Arc<HeldLock>>,
        blocking: bool,
    ) -> Self {
        Self {
            caller: Caller::new(request, blocking),
            locks,
            shared,
        }
    }

    /// Waits for all.
    pub(super) fn acquire(self) -> Pin<Box<dyn Future<Output = Result<HeldLock, Error>> + Send>> {
        Box::pin(async move {
            let mut had = Vec::with_capacity(self.locks.len());
            match self.acquire_each(&mut had).await {
                Ok(()) => {}
                Err(error) => {
                    release(had).await;
                    return Err(error);
                }
            }
            let mut had = had.into_iter().map(HeldLock::handed_over);
            let first = had.next().expect("there is one at least");
            let others = had.map(Arc::new);
            Ok(first.together_with(others.chain(self.shared).collect()))
        })
    }

    async fn acquire_each(&self, had: &mut Vec<HeldLock>) -> Result<(), Error> {
        while had.len() < self.locks.len() {
            self.acquire_those_that_are_free(had).await?;
            // The next one is busy.
            let Some(lock) = self.locks.get(had.len()) else {
                return Ok(());
            };
            let wait = match self.caller.request.wait {
                WaitPolicy::NoWait if !had.is_empty() => self.left_of_a_try(),
                wait => wait,
            };
            let describe_holder = self.caller.request.describe_holder;
            let lock = self.caller.ask(lock.clone(), had, wait, describe_holder);
            let lock = lock.await?;
            had.push(lock);
        }
        Ok(())
    }

    /// What is left of the time that a try waits for those before it.
    fn left_of_a_try(&self) -> WaitPolicy {
        let bound = BEFORE_A_TRY.bound().unwrap_or_default();
        let left = bound.saturating_sub(self.caller.request.asked.elapsed());
        match i32::try_from(left.as_millis()) {
            Ok(0) | Err(_) => WaitPolicy::NoWait,
            Ok(millis) => WaitPolicy::Millis(millis),
        }
    }

    /// Those after the ones that the caller has, up to the first that is busy.
    async fn acquire_those_that_are_free(&self, had: &mut Vec<HeldLock>) -> Result<(), Error> {
        let left = self.locks[had.len()..].to_vec();
        let mut behind_a_busy_one = Vec::new();
        let mut is_one_busy = false;
        let mut failed = None;
        for tried in self.caller.try_all(left, had).await {
            match tried {
                Ok(lock) if is_one_busy => behind_a_busy_one.push(lock),
                Ok(lock) => had.push(lock),
                Err(error) => {
                    is_one_busy = true;
                    failed = failed.or_else(|| Some(error).filter(|error| !error.is_busy()));
                }
            }
        }
        release(behind_a_busy_one).await;
        failed.map_or(Ok(()), Err)
    }
}

async fn release(locks: Vec<HeldLock>) {
    let mut releases = Vec::with_capacity(locks.len());
    for lock in &locks {
        releases.push(engine::release(lock));
    }
    // They were not used, so it doesn't matter if they were lost.
    let _ = join_all(releases).await;
}
