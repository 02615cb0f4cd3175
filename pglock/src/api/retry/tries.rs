//! The tries of one call: each begins with a lock timeout of its own, and ends before the pause.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body_error::Outcome;
use super::options::RetryLocks;
use super::schedule;
use super::watched::{Watched, end_watch};
use crate::api::prioritize::{Prioritize, prioritize};
use crate::api::timeout::{AsyncTimeoutScope, PreviousTimeout, timeout};
use crate::background::{self, block_on, jittered};
use crate::calls::call_stack::Frame;
use crate::drivers::{AsyncConnection, AsyncWire, BlockingWire, Connection};
use crate::error::{Error, Found, Holder};
use crate::sql;
use crate::telemetry::{FailedTry, TryEnd, TryRecord};
use crate::watcher::SectionHandle;
use crate::wire::{ExtendedQuery, SimpleQuery};

/// Which part of its wait a try has before those in the way are signaled. The rest is for their end.
const SIGNAL_AFTER: u32 = 2;

/// How many times to look who is in the way during the wait of a try: one look may be late.
const LOOK_EVERY: u32 = 4;

/// The interval of both where the wait is long.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The tries of one call.
#[derive(Debug)]
pub struct Tries {
    options: RetryLocks,
    /// That of the try which has begun last, from 1 on.
    try_number: u32,
    /// Its lock timeout.
    limit: Option<Duration>,
    /// Who was last seen in the way.
    holder: Option<Box<Holder>>,
    /// Why nobody looks who is in the way.
    cannot_look: Option<String>,
}

/// How a try is to be watched.
struct Watch {
    options: Prioritize,
    signals: bool,
}

impl Tries {
    pub(super) fn new(options: RetryLocks) -> Self {
        Self {
            options,
            try_number: 0,
            limit: None,
            holder: None,
            cannot_look: None,
        }
    }

    /// Begins the next try. There is one.
    fn next(&mut self) -> Result<Watch, Error> {
        if self.try_number == 0 {
            self.options.check()?;
        }
        self.try_number += 1;
        let RetryLocks {
            tries,
            longest,
            unbounded_last,
            signals,
            using,
            ..
        } = &self.options;
        let is_unbounded = *unbounded_last && self.try_number == *tries;
        let bound = schedule::limit(self.try_number, *longest);
        let limit = (!is_unbounded).then_some(bound);
        let watch = prioritize().using(using.clone());
        let watch = match signals {
            Some((from, side_effect)) if self.try_number >= *from => {
                let interval = share(limit, SIGNAL_AFTER);
                let policy = side_effect.signal_policy();
                let grace = policy.and_then(|policy| policy.escalation.grace());
                // Time for the first poll, for those that it signals to end, and for `Escalate`.
                let least = 2 * interval + grace.unwrap_or_default();
                self.limit = limit.map(|limit| limit.max(least));
                Watch {
                    options: watch
                        .interval(interval)
                        .side_effect(Arc::clone(side_effect)),
                    signals: true,
                }
            }
            Some(_) | None => {
                self.limit = limit;
                Watch {
                    options: watch.interval(share(limit, LOOK_EVERY)).only_looks(),
                    signals: false,
                }
            }
        };
        Ok(watch)
    }

    /// Watches the try. That nobody can look who is in the way is no reason not to try, unless those are to be signaled.
    async fn watch(
        &mut self,
        Watch { options, signals }: Watch,
        wire: &mut impl ExtendedQuery,
    ) -> Result<Option<SectionHandle>, Error> {
        if !signals && self.cannot_look.is_some() {
            return Ok(None);
        }
        match options.watch(wire).await {
            Ok(section) => Ok(Some(section)),
            Err(error) if signals => Err(error),
            Err(error) => {
                self.cannot_look = Some(error.to_string());
                Ok(None)
            }
        }
    }

    /// Begins the next try on a blocking connection.
    pub(super) fn begin<C: Connection + ?Sized>(
        &mut self,
        connection: &mut C,
    ) -> Result<Try, Error> {
        let watch = self.next()?;
        let signals = watch.signals;
        let previous = timeout(self.limit).begin(connection)?;
        let section = if previous.is_in_transaction() {
            Err(Error::retry_in_transaction())
        } else {
            block_on(self.watch(watch, &mut BlockingWire(connection)))
        };
        match section {
            Ok(section) => Ok(Try {
                section,
                signals,
                previous,
                record: self.options.label.begin_try(),
            }),
            Err(error) => {
                // What went wrong first is what is reported.
                let _ = previous.end(connection);
                Err(error)
            }
        }
    }

    /// Ends a try, and pauses where there is another one: then there is no result.
    pub(super) fn end<C: Connection + ?Sized, R>(
        &mut self,
        ended: Try,
        connection: &mut C,
        result: R,
        outcome: Outcome,
    ) -> Result<Option<R>, Error> {
        let watched = block_on(end_watch(ended.section.as_ref()));
        if let Outcome::TimedOut(_) = outcome {
            block_on(roll_back(&mut BlockingWire(connection)));
        }
        let restored = ended.previous.end(connection);
        let left = Left {
            signals: ended.signals,
            watched,
            restored,
            record: ended.record,
        };
        match self.leave(outcome, left)? {
            Next::Return => Ok(Some(result)),
            Next::TryAgain { pause } => {
                std::thread::sleep(pause);
                Ok(None)
            }
        }
    }

    /// Begins the next try on an async connection.
    pub(super) async fn begin_async<'c, C: AsyncConnection + ?Sized>(
        &mut self,
        connection: &'c mut C,
    ) -> Result<AsyncTry<'c, C>, Error> {
        let watch = self.next()?;
        let signals = watch.signals;
        let mut connection = timeout(self.limit).on_async(connection).await?;
        let section = if connection.is_in_transaction() {
            Err(Error::retry_in_transaction())
        } else {
            self.watch(watch, &mut AsyncWire(&mut *connection)).await
        };
        match section {
            Ok(section) => Ok(AsyncTry {
                section,
                signals,
                connection,
                record: self.options.label.begin_try(),
            }),
            Err(error) => {
                // What went wrong first is what is reported.
                let _ = connection.restore().await;
                Err(error)
            }
        }
    }

    /// Like [`end`](Tries::end).
    pub(super) async fn end_async<C: AsyncConnection + ?Sized, R>(
        &mut self,
        ended: AsyncTry<'_, C>,
        result: R,
        outcome: Outcome,
    ) -> Result<Option<R>, Error> {
        let AsyncTry {
            section,
            signals,
            mut connection,
            record,
        } = ended;
        let watched = end_watch(section.as_ref()).await;
        if let Outcome::TimedOut(_) = outcome {
            roll_back(&mut AsyncWire(&mut *connection)).await;
        }
        let restored = connection.restore().await;
        let left = Left {
            signals,
            watched,
            restored,
            record,
        };
        match self.leave(outcome, left)? {
            Next::Return => Ok(Some(result)),
            Next::TryAgain { pause } => {
                sleep(pause).await?;
                Ok(None)
            }
        }
    }

    /// What to do after a try. The body's own error comes first.
    fn leave(&mut self, outcome: Outcome, left: Left) -> Result<Next, Error> {
        let Left {
            signals,
            watched,
            restored,
            record,
        } = left;
        let tries = self.options.tries;
        record.end(match outcome {
            Outcome::Done => TryEnd::Done,
            Outcome::Failed => TryEnd::Failed,
            Outcome::TimedOut(_) if self.try_number < tries => TryEnd::TimedOut,
            Outcome::TimedOut(_) => TryEnd::GaveUp,
        });
        let timed_out = match outcome {
            Outcome::TimedOut(timed_out) => timed_out,
            Outcome::Failed => return Ok(Next::Return),
            Outcome::Done => {
                restored?;
                return match watched.error {
                    Some(error) if signals => Err(error),
                    Some(_) | None => Ok(Next::Return),
                };
            }
        };
        restored?;
        self.has_seen(&watched, timed_out.holder.clone());
        if self.try_number >= tries {
            let found = match self.holder.take() {
                Some(holder) => Found::Holder(holder),
                None => Found::Unknown,
            };
            let why_unknown = self.cannot_look.as_deref();
            let error = Error::no_try_left(tries, self.limit, timed_out, found, why_unknown);
            return Err(error);
        }
        let pause = jittered(schedule::pause(self.try_number));
        FailedTry {
            label: self.options.label,
            try_number: self.try_number,
            tries,
            limit: self.limit,
            pause,
            holder: self.holder.as_deref(),
        }
        .emit();
        Ok(Next::TryAgain { pause })
    }

    /// Keeps who was in the way. What the body's error says of that is about the wait that timed out.
    fn has_seen(&mut self, watched: &Watched, holder: Option<Box<Holder>>) {
        if let Some(holder) = holder.or_else(|| watched.holder()) {
            self.holder = Some(holder);
        }
        if let Some(error) = &watched.error {
            self.cannot_look = Some(error.to_string());
        }
    }
}

/// A part of the wait of a try.
fn share(limit: Option<Duration>, of: u32) -> Duration {
    limit.map_or(LONGEST_INTERVAL, |limit| {
        (limit / of).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    })
}

/// How a try was left.
struct Left {
    signals: bool,
    watched: Watched,
    restored: Result<(), Error>,
    record: TryRecord,
}

enum Next {
    Return,
    TryAgain { pause: Duration },
}

/// Ends a transaction that the body has left open, which would keep its locks during the pause. If this fails, so does what
/// follows.
async fn roll_back(wire: &mut impl SimpleQuery) {
    for statement in sql::transaction::END_ANY_TRANSACTION {
        let _ = wire.simple_query(statement).await;
    }
}

/// By pglock's clock, since the caller's executor may have none.
async fn sleep(pause: Duration) -> Result<(), Error> {
    let woken = background::start()?.sleep_until(Instant::now() + pause);
    // If the thread has ended, the next try is early.
    let _ = woken.await;
    Ok(())
}

/// A try on a blocking connection.
pub struct Try {
    section: Option<SectionHandle>,
    /// Whether those in the way are signaled.
    signals: bool,
    previous: PreviousTimeout,
    record: TryRecord,
}

impl Try {
    /// The frame to run the body in, if waits on pglock's own sessions are prioritized in it.
    pub(super) fn frame(&self) -> Option<Arc<Frame>> {
        frame(self.signals, self.section.as_ref())
    }

    /// After a panic of the body, which is what is reported.
    pub(super) fn abandon<C: Connection + ?Sized>(self, connection: &mut C) {
        self.record.end(TryEnd::Panicked);
        let _ = block_on(end_watch(self.section.as_ref()));
        let _ = self.previous.end(connection);
    }
}

/// A try on an async connection, which it lends. Dropping it ends the watch, and then sets `lock_timeout` back.
pub struct AsyncTry<'c, C: AsyncConnection + ?Sized> {
    section: Option<SectionHandle>,
    signals: bool,
    connection: AsyncTimeoutScope<'c, C>,
    record: TryRecord,
}

impl<C: AsyncConnection + ?Sized> AsyncTry<'_, C> {
    /// Like [`Try::frame`].
    pub(super) fn frame(&self) -> Option<Arc<Frame>> {
        frame(self.signals, self.section.as_ref())
    }
}

impl<C: AsyncConnection + ?Sized> Deref for AsyncTry<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C: AsyncConnection + ?Sized> DerefMut for AsyncTry<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

fn frame(signals: bool, section: Option<&SectionHandle>) -> Option<Arc<Frame>> {
    section
        .filter(|_| signals)
        .map(|section| Frame::prioritized(section.id()))
}

impl fmt::Debug for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Try").finish_non_exhaustive()
    }
}

impl<C: AsyncConnection + ?Sized> fmt::Debug for AsyncTry<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTry").finish_non_exhaustive()
    }
}
