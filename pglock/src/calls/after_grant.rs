//! What is done once a lock has been granted, before its caller has it.

use std::pin::Pin;
use std::time::Duration;

use crate::calls::caller::Caller;
use crate::engine::{self, GrantRules, HeldLock, Purpose, Request};
use crate::error::Error;

/// A caller whose lock is not enough.
pub(super) struct AfterGrant {
    caller: Caller,
    rules: GrantRules,
}

impl AfterGrant {
    pub(super) fn new(request: Request, rules: GrantRules, blocking: bool) -> Self {
        Self {
            caller: Caller::new(request, blocking),
            rules,
        }
    }

    /// Acquires the lock.
    pub(super) fn acquire(self) -> Pin<Box<dyn Future<Output = Result<HeldLock, Error>> + Send>> {
        Box::pin(async move {
            let request = &self.caller.request;
            self.expect_server()?;
            let lock = request.lock.spec.clone();
            let lock = request.lock.with_spec(lock, Some(Purpose::Tentative));
            let (wait, describe_holder) = (request.wait, request.describe_holder);
            let lock = self.caller.ask(lock, &[], wait, describe_holder).await?;
            match self.follow_rules(&lock).await {
                Ok(token) => Ok(lock.handed_over().ruled(self.rules, token)),
                Err(error) => {
                    // It was not used, so it doesn't matter if it was lost.
                    let _ = engine::release(&lock).await;
                    Err(error)
                }
            }
        })
    }

    /// Where there is none, the lock is not even asked for.
    fn expect_server(&self) -> Result<(), Error> {
        let lock = &self.caller.request.lock;
        let option = if self.rules.once_in.is_some() {
            "once_in"
        } else {
            "fenced"
        };
        let what = format_args!("lock {}: `{option}`", lock.id);
        lock.database.expect_server(&what)
    }

    /// The token, if one is asked for. A run is noted last: it counts from then on.
    async fn follow_rules(&self, lock: &HeldLock) -> Result<Option<u64>, Error> {
        let mut token = None;
        if self.rules.fenced {
            token = Some(engine::token(lock).await?);
        }
        if let Some(period) = self.rules.once_in {
            self.begin_run(period).await?;
        }
        Ok(token)
    }

    async fn begin_run(&self, period: Duration) -> Result<(), Error> {
        let lock = &self.caller.request.lock;
        let begun = engine::begin_run(lock.database.clone(), lock.spec.clone(), period);
        match begun.await? {
            None => Ok(()),
            Some(before) => Err(Error::not_due(&lock.id, period, before.ago, &before.ran_by)),
        }
    }
}
