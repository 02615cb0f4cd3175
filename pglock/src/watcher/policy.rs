//! Which blocking sessions are signaled, and how.

use std::time::Duration;

use crate::error::Error;
use crate::view::{Condition, Matches};

/// How sessions are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escalation {
    Terminate,
    Cancel,
    /// Canceled, and ended if they are still in the way after that time.
    Escalate {
        grace: Duration,
    },
}

/// What is done to whom.
#[derive(Clone, Debug)]
pub(crate) struct KillPolicy {
    pub(crate) escalation: Escalation,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) never_applications: Vec<String>,
    pub(crate) never_users: Vec<String>,
    pub(crate) dry_run: bool,
}

impl KillPolicy {
    pub(crate) const fn new(escalation: Escalation) -> Self {
        Self {
            escalation,
            conditions: Vec::new(),
            never_applications: Vec::new(),
            never_users: Vec::new(),
            dry_run: false,
        }
    }

    pub(crate) fn filter(&mut self, filter: &str, matches: Matches) -> Result<(), Error> {
        let condition = Condition::parse(filter, true, matches)?;
        self.conditions.push(condition);
        Ok(())
    }

    /// Only blockers whose current or latest statement began that long ago.
    pub(crate) fn blocking_duration_gte(&mut self, duration: Duration) {
        const DAY: u64 = 24 * 60 * 60;
        // Postgres reads each number of an interval as 32 bits.
        let days = (duration.as_secs() / DAY).min(i32::MAX.unsigned_abs().into());
        let filter = format!(
            "blocking_activity__duration__gte={days} days {}.{:06} seconds",
            duration.as_secs() % DAY,
            duration.subsec_micros()
        );
        // It is a filter like any other, and known to be right.
        let _ = self.filter(&filter, Matches::Keep);
    }
}
