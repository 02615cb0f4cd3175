//! The tries of retries: how each ended.

use super::catch_panics::catch_panics;
use super::metrics;
use super::subject::RetryLabel;

impl RetryLabel {
    /// Records that a try begins.
    pub(crate) fn begin_try(self) -> TryRecord {
        TryRecord {
            label: self,
            ended: false,
        }
    }
}

/// A try that has begun. Dropping it before [`end`](TryRecord::end) records that its body did not return.
#[derive(Debug)]
pub(crate) struct TryRecord {
    label: RetryLabel,
    ended: bool,
}

/// How a try ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TryEnd {
    /// The body returned `Ok`.
    Done,
    /// The body returned an error that is not about a lock that timed out.
    Failed,
    /// A lock timed out, and there is another try.
    TimedOut,
    /// A lock timed out, and there is none.
    GaveUp,
    Panicked,
}

impl TryRecord {
    pub(crate) fn end(mut self, end: TryEnd) {
        self.record(match end {
            TryEnd::Done => "done",
            TryEnd::Failed => "failed",
            TryEnd::TimedOut => "timed_out",
            TryEnd::GaveUp => "gave_up",
            TryEnd::Panicked => "panicked",
        });
    }

    fn record(&mut self, outcome: &'static str) {
        self.ended = true;
        catch_panics(|| metrics::tried(self.label.0, outcome));
    }
}

impl Drop for TryRecord {
    fn drop(&mut self) {
        if !self.ended {
            self.record(if std::thread::panicking() {
                "panicked"
            } else {
                "dropped"
            });
        }
    }
}
