//! Which blocking sessions are signaled, and how.

use std::time::Duration;

use crate::error::Error;
use crate::view::{Condition, Matches};

/// How blocking sessions are signaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escalation {
    Terminate,
    Cancel,
    /// Cancel first, and terminate the sessions that still block after the grace time.
    Escalate {
        grace: Duration,
    },
}

impl Escalation {
    /// How long after it was canceled a session is terminated.
    pub(crate) fn grace(self) -> Option<Duration> {
        match self {
            Self::Escalate { grace } => Some(grace),
            Self::Terminate | Self::Cancel => None,
        }
    }
}

/// Which blocking sessions are signaled, and how.
///
/// `pub`, since a hidden method of a public trait names it; the module is private.
#[derive(Clone, Debug)]
pub struct SignalPolicy {
    pub(crate) escalation: Escalation,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) never_applications: Vec<String>,
    pub(crate) never_users: Vec<String>,
    pub(crate) dry_run: bool,
}

impl SignalPolicy {
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

    /// Keeps only blockers whose current or latest statement began at least that long ago.
    pub(crate) fn blocking_duration_gte(&mut self, duration: Duration) {
        const DAY: u64 = 24 * 60 * 60;
        // Postgres reads each number of an interval as 32 bits.
        let days = (duration.as_secs() / DAY).min(i32::MAX.unsigned_abs().into());
        let filter = format!(
            "blocking_activity__duration__gte={days} days {}.{:06} seconds",
            duration.as_secs() % DAY,
            duration.subsec_micros()
        );
        // The filter is written here, so it is known to be valid.
        let _ = self.filter(&filter, Matches::Keep);
    }
}
