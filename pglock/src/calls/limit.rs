//! One of the permits of a limit.
//!
//! Who wants one stands in line: that is a lock, with the limit's own ID, whose holder alone takes permits. Others wait for
//! it, as for any lock, and are served in the order in which they came. A permit is a lock too, so the server frees it with
//! its session. Nobody waits for one: which will be free first is not known, so who is first in line tries them again and
//! again, and is the only one to do so.

use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::background::{self, PerProcess, jittered, join_all};
use crate::calls::caller::{BEFORE_A_TRY, Caller};
use crate::database::Database;
use crate::engine::{self, DatabaseLock, HeldLock, Purpose, Request};
use crate::error::Error;
use crate::model::lock_id::Key;
use crate::model::lock_request::LockSpec;
use crate::model::options::WaitPolicy;
use crate::model::permits::Permits;

/// The first pause of who is first in line, and the longest. It doubles each time.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// For how long a limit that agreed with others is not looked up again.
const AGREED: Duration = Duration::from_secs(60);

/// For how long it is not where a caller gets no permit: what it is told of the permits must be so.
const AGREED_JUST_NOW: Duration = Duration::from_secs(1);

/// The most limits of which that is remembered.
const REMEMBERED: usize = 1_000;

/// The limits that agreed with others.
static AGREEMENTS: PerProcess<Vec<Agreement>> = PerProcess::new();

/// Nobody else gave a limit another number of permits, at that time.
struct Agreement {
    database: Database,
    limit: Key,
    permits: Permits,
    at: Instant,
    /// Whether others could see at that time how many there are here. Otherwise two that begin at the same moment would both
    /// see nothing.
    had_permit: bool,
}

/// A caller that wants a permit.
pub(super) struct Limit {
    caller: Caller,
    permits: Permits,
}

impl Limit {
    /// `request` is for the limit's own lock.
    pub(super) fn new(request: Request, permits: Permits, blocking: bool) -> Self {
        Self {
            caller: Caller::new(request, blocking),
            permits,
        }
    }

    /// Waits for a permit.
    pub(super) fn permit(self) -> Pin<Box<dyn Future<Output = Result<HeldLock, Error>> + Send>> {
        Box::pin(self.wait_for_permit())
    }

    async fn wait_for_permit(self) -> Result<HeldLock, Error> {
        let until = self.caller.until();
        // Those who wait for another number of permits could stand before it for long, or for longer than it waits.
        self.agree_with_others(AGREED, false).await?;
        loop {
            let first_in_line = self.first_in_line().await?;
            let mut pause = PAUSE;
            // Until that is lost, when somebody else may be the first.
            while first_in_line.check_session().is_ok() {
                if let Some(permit) = self.free_permit().await? {
                    // The next one need not wait for what is left to do.
                    drop(first_in_line);
                    return self.with_number(permit).await;
                }
                let now = Instant::now();
                if until.is_some_and(|until| until <= now) {
                    self.agree_with_others(AGREED_JUST_NOW, false).await?;
                    match self.why_none().await {
                        Ok(why) | Err(Some(why)) => return Err(why),
                        // One has become free just now.
                        Err(None) => continue,
                    }
                }
                let woken = now + jittered(pause);
                sleep_until(until.map_or(woken, |until| woken.min(until))).await?;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }

    async fn first_in_line(&self) -> Result<HeldLock, Error> {
        let request = &self.caller.request;
        let wait = match request.wait {
            WaitPolicy::NoWait => BEFORE_A_TRY,
            wait => wait,
        };
        let line = self
            .caller
            .ask(self.line(), &[], wait, request.describe_holder);
        match line.await {
            Err(error) if error.is_busy() => {
                self.agree_with_others(AGREED_JUST_NOW, false).await?;
                Err(self.why_not_first(error).await)
            }
            line => line,
        }
    }

    /// Who has the permits; or, where not all are taken, who is `before` it in the line.
    async fn why_not_first(&self, before: Error) -> Error {
        let request = &self.caller.request;
        if !request.describe_holder {
            return before;
        }
        let slots = (0..self.permits.count()).map(|number| self.slot(number).spec.key);
        let taken = engine::count_held(request.lock.database.clone(), slots.collect()).await;
        if taken == Some(self.permits.count() as usize)
            && let Ok(why) | Err(Some(why)) = self.why_none().await
        {
            return why;
        }
        Error::nobody_may_begin(&request.lock.id, request.wait.bound(), before)
    }

    /// A permit that is free, if there is one. Those that are tried at once and not needed are released again: the line
    /// keeps others from missing them.
    async fn free_permit(&self) -> Result<Option<HeldLock>, Error> {
        for batch in self.permits.batches(self.any_number()) {
            if let [number] = batch[..] {
                match self.try_permit(number, false).await {
                    Err(error) if error.is_busy() => continue,
                    tried => return tried.map(Some),
                }
            }
            let (mut free, mut not_needed) = (None, Vec::new());
            let mut failed = None;
            let tries = batch.iter().map(|&number| self.slot(number)).collect();
            for tried in self.caller.try_all(tries, &[]).await {
                match tried {
                    Ok(permit) if free.is_none() => free = Some(permit),
                    Ok(permit) => not_needed.push(permit),
                    Err(error) if error.is_busy() => {}
                    Err(error) => failed = Some(error),
                }
            }
            // They were not used, so it doesn't matter if they were lost.
            let _ = join_all(not_needed.iter().map(engine::release)).await;
            match (free, failed) {
                (Some(permit), _) => return Ok(Some(permit)),
                (None, Some(error)) => return Err(error),
                (None, None) => {}
            }
        }
        Ok(None)
    }

    /// Why there is none: who has one of the permits. One that is free is not kept: others came before.
    async fn why_none(&self) -> Result<Error, Option<Error>> {
        let request = &self.caller.request;
        let tried = self.try_permit(self.any_number(), request.describe_holder);
        match tried.await {
            Ok(permit) => {
                // It was not used, so it doesn't matter if it was lost.
                let _ = engine::release(&permit).await;
                Err(None)
            }
            Err(error) if error.is_busy() => Ok(Error::no_permit(
                &request.lock.id,
                self.permits.count(),
                request.wait.bound(),
                error,
            )),
            Err(error) => Err(Some(error)),
        }
    }

    async fn try_permit(&self, number: u32, describe_holder: bool) -> Result<HeldLock, Error> {
        let lock = self.slot(number);
        let tried = self
            .caller
            .ask(lock, &[], WaitPolicy::NoWait, describe_holder);
        tried.await
    }

    /// The permit, with the lock that says how many there are.
    async fn with_number(&self, permit: HeldLock) -> Result<HeldLock, Error> {
        let limit = &self.caller.request.lock.spec;
        let number = self.part(self.permits.number_lock(limit));
        let number = self.caller.ask(number, &[], WaitPolicy::NoWait, false);
        let permit = permit.beside(number.await?);
        self.agree_with_others(AGREED, true).await?;
        Ok(permit.handed_over())
    }

    /// Finds out if others give the same limit another number of permits, unless they did not within this time.
    async fn agree_with_others(&self, within: Duration, has_permit: bool) -> Result<(), Error> {
        let lock = &self.caller.request.lock;
        let is_recent = {
            let mut agreements = AGREEMENTS.lock(|_| Vec::new());
            agreements.retain(|agreement| agreement.at.elapsed() < AGREED);
            agreements.iter().any(|agreement| {
                agreement.limit == lock.key
                    && agreement.permits == self.permits
                    && agreement.database == lock.database
                    && agreement.at.elapsed() < within
                    && (agreement.had_permit || !has_permit)
            })
        };
        if is_recent {
            return Ok(());
        }
        let (database, spec) = (lock.database.clone(), lock.spec.clone());
        let found = match engine::other_number(database, spec, self.permits).await {
            // What keeps it from asking is told by its lock, or is no reason to have none.
            Err(_) if !has_permit => return Ok(()),
            found => found?,
        };
        if let Some(other) = found {
            let ours = self.permits.count();
            return Err(Error::other_permits(
                &lock.id,
                ours,
                other.permits,
                other.pid,
            ));
        }
        let mut agreements = AGREEMENTS.lock(|_| Vec::new());
        if agreements.len() == REMEMBERED {
            agreements.remove(0);
        }
        agreements.push(Agreement {
            database: lock.database.clone(),
            limit: lock.key,
            permits: self.permits,
            at: Instant::now(),
            had_permit: has_permit,
        });
        Ok(())
    }

    /// The lock that who is first in line has.
    fn line(&self) -> DatabaseLock {
        self.part(self.caller.request.lock.spec.clone())
    }

    fn part(&self, spec: LockSpec) -> DatabaseLock {
        let lock = &self.caller.request.lock;
        DatabaseLock {
            dedicated: false,
            ..lock.with_spec(spec, Some(Purpose::Part))
        }
    }

    /// The lock that is the permit of this number.
    fn slot(&self, number: u32) -> DatabaseLock {
        let lock = &self.caller.request.lock;
        let spec = lock.spec.with_id(Permits::slot_id(&lock.id, number));
        lock.with_spec(spec, Some(Purpose::Permit(number)))
    }

    /// Not always the same, so that free ones are found soon.
    fn any_number(&self) -> u32 {
        background::any_number(self.permits.count())
    }
}

/// By pglock's clock, since the caller's executor may have none.
async fn sleep_until(at: Instant) -> Result<(), Error> {
    // If the thread has ended, the next try says so.
    let _ = background::start()?.sleep_until(at).await;
    Ok(())
}
