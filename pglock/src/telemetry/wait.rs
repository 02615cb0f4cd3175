//! Waits that last.

use std::time::Duration;

use super::catch_panics::catch_panics;
use super::spans::TraceContext;
use super::subject::Subject;
use crate::error::Holder;

/// After how long a wait is reported for the first time.
const FIRST: Duration = Duration::from_secs(30);

/// Where to report that a wait lasts; there is none if nobody listens.
#[derive(Clone, Debug)]
pub(crate) struct WaitReport {
    pub(super) subject: Subject,
    pub(super) context: TraceContext,
}

impl WaitReport {
    /// When a wait is reported that has lasted for this time: after twice as long each time.
    // Input:  0 s     30 s    100 s
    // Output: 30 s    60 s    120 s
    pub(crate) fn next_after(waited: Duration) -> Duration {
        let mut next = FIRST;
        while next <= waited {
            next = next.saturating_mul(2);
        }
        next
    }

    pub(crate) fn emit(&self, waited: Duration, holder: Option<&Holder>) {
        catch_panics(|| self.context.waits(&self.subject, waited, holder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_reports_doubles() {
        for (waited, next) in [(0, 30), (29, 30), (30, 60), (59, 60), (60, 120), (100, 120)] {
            let seconds = Duration::from_secs;
            assert_eq!(WaitReport::next_after(seconds(waited)), seconds(next));
        }
        assert!(WaitReport::next_after(Duration::from_secs(u64::MAX / 4)) > Duration::ZERO);
    }
}
