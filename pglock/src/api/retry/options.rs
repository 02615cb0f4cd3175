//! How to retry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::schedule;
use crate::database::Using;
use crate::error::{Error, humanize};
use crate::telemetry::RetryLabel;
use crate::watcher::PrioritizeSideEffect;

/// As long as any other time of pglock's may be.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// How to retry what waits for locks: see [`retry_locks`](crate::retry_locks).
#[derive(Clone)]
#[must_use = "nothing is tried before `run` or `run_async`"]
pub struct RetryLocks {
    pub(super) tries: u32,
    pub(super) longest: Duration,
    pub(super) unbounded_last: bool,
    /// From which try on those in the way are signaled, and how.
    pub(super) signals: Option<(u32, Arc<dyn PrioritizeSideEffect>)>,
    pub(super) using: Using,
    pub(super) label: RetryLabel,
}

impl RetryLocks {
    /// How many tries there are at most; 41 by default.
    ///
    /// They grow all the same, so this says for how long to go on: 10 tries take 3 seconds, 20 tries 24 seconds, 30 tries
    /// 3 minutes. From the 41st on each waits for 10 s, and pauses for 10 minutes.
    ///
    /// ```
    /// let retry = pglock::retry_locks().tries(20);
    /// ```
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// The longest `lock_timeout` of a try, 10 s by default: others may be held up for as long. It counts in milliseconds.
    ///
    /// ```
    /// let retry = pglock::retry_locks().longest(std::time::Duration::from_secs(2));
    /// ```
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Whether the last try waits without a bound. By default it does not: a wait that does not end holds up all others.
    ///
    /// ```
    /// let retry = pglock::retry_locks().unbounded_last(true);
    /// ```
    pub fn unbounded_last(mut self, unbounded_last: bool) -> Self {
        self.unbounded_last = unbounded_last;
        self
    }

    /// From this try on, counted from 1, the sessions in the way are treated as the side effect says: see
    /// [`prioritize`](fn@crate::prioritize).
    ///
    /// That comes in the middle of the wait, or after a second of it. The `lock_timeout` of these tries is longer where
    /// [`Escalate`](struct@crate::Escalate) needs its grace period.
    ///
    /// ```
    /// let retry = pglock::retry_locks().prioritize_from(25, pglock::Terminate::new().never_application("pg_dump"));
    /// ```
    pub fn prioritize_from(
        mut self,
        try_number: u32,
        side_effect: impl PrioritizeSideEffect,
    ) -> Self {
        self.signals = Some((try_number, Arc::new(side_effect)));
        self
    }

    /// Where to look who is in the way: in the database that the connection belongs to. The default database if not set.
    ///
    /// Only [`prioritize_from`](RetryLocks::prioritize_from) needs it. Where there is no such database, or it can't be reached, the tries are made all the same, and
    /// the last error says why it does not name who was in the way.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let admin = pglock::Database::builder("postgres://admin@db/app").build()?;
    /// let retry = pglock::retry_locks().using(&admin);
    /// # Ok(())
    /// # }
    /// ```
    pub fn using(mut self, database: impl Into<Using>) -> Self {
        self.using = database.into();
        self
    }

    /// Names what is retried in metrics and traces: `unlabeled` if not set. The attribute sets the function's path.
    ///
    /// ```
    /// let retry = pglock::retry_locks().label("add orders.total");
    /// ```
    pub fn label(mut self, label: &'static str) -> Self {
        self.label = RetryLabel::new(label);
        self
    }

    /// Those of a new builder.
    pub(super) fn new() -> Self {
        Self {
            tries: schedule::TRIES,
            longest: schedule::LONGEST_LIMIT,
            unbounded_last: false,
            signals: None,
            using: Using::DEFAULT,
            label: RetryLabel::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let Self { tries, longest, .. } = self;
        if *tries == 0 {
            return Err(Error::config(
                "with no tries the body would never run; allow one or more with `tries`",
            ));
        }
        if longest.is_zero() || *longest > LONGEST {
            return Err(Error::config(format!(
                "the longest lock timeout of a try cannot be {}; write a time above zero, of 24 days at most",
                humanize::duration(*longest)
            )));
        }
        match &self.signals {
            Some((0, _)) => Err(Error::config(
                "tries are counted from 1; write `prioritize_from` 1 to prioritize all of them",
            )),
            Some((from, _)) if from > tries => Err(Error::config(format!(
                "try {from}, from which on to prioritize, is after the last one of {tries}; allow more `tries`, or prioritize from an earlier one"
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for RetryLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLocks")
            .field("tries", &self.tries)
            .field("longest", &self.longest)
            .field("unbounded_last", &self.unbounded_last)
            .field(
                "prioritize_from",
                &self.signals.as_ref().map(|(from, _)| from),
            )
            .field("using", &self.using)
            .field("label", &self.label)
            .finish()
    }
}
