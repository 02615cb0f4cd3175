//! How a borrower waits for an answer, by how long the answers before took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For how long a borrower asks for the answer again and again, and gives way to other threads in between. A task keeps its
/// executor from other work for as long.
pub(super) const SPIN: Duration = Duration::from_micros(100);

/// Where a borrower slept for longer, the next one spins. A server on the same core has answered by then; one on another core takes as long
/// to wake who sleeps as to answer twice.
const WAKE: Duration = Duration::from_micros(25);

/// For how long what has been learned counts. A distant server then costs [`SPIN`] once in this time.
const LEARNED: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Spin,
    /// In the read.
    Sleep,
}

pub(super) struct Pace {
    since: Instant,
    /// Until when the server is expected not to answer within [`SPIN`], in microseconds.
    slow_until: AtomicU64,
    /// Until when sleeping is expected to take longer than spinning.
    spin_until: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            slow_until: AtomicU64::new(0),
            spin_until: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// Whether an answer is expected while a borrower spins.
    pub(super) fn is_quick(&self) -> bool {
        !self.is_before(&self.slow_until)
    }

    /// How a thread that can sleep should wait.
    pub(super) fn of_thread(&self) -> Wait {
        if self.is_quick() && self.is_before(&self.spin_until) {
            Wait::Spin
        } else {
            Wait::Sleep
        }
    }

    /// A borrower has waited for so long, and may have to wait on.
    pub(super) fn note(&self, wait: Wait, waited: Duration) {
        let learned = micros(self.since.elapsed() + LEARNED);
        match wait {
            Wait::Spin if waited >= SPIN => self.slow_until.store(learned, Ordering::Relaxed),
            Wait::Sleep if waited > WAKE => self.spin_until.store(learned, Ordering::Relaxed),
            Wait::Spin | Wait::Sleep => {}
        }
    }

    fn is_before(&self, time: &AtomicU64) -> bool {
        micros(self.since.elapsed()) < time.load(Ordering::Relaxed)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use pglock_tests::{BOUND, wait_until};

    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(10);
    const FAR_AWAY: Duration = Duration::from_millis(1);

    #[test]
    fn a_thread_sleeps_where_that_is_quick_and_else_spins_for_a_while() {
        let pace = Pace::default();
        pace.note(Wait::Sleep, AT_ONCE);
        assert_eq!(pace.of_thread(), Wait::Sleep);
        pace.note(Wait::Sleep, FAR_AWAY);
        assert_eq!(pace.of_thread(), Wait::Spin);
        wait_until("sleeping is tried again", BOUND, || {
            pace.of_thread() == Wait::Sleep
        });
    }

    #[test]
    fn nobody_spins_for_a_while_where_that_was_in_vain() {
        let pace = Pace::default();
        pace.note(Wait::Sleep, FAR_AWAY);
        pace.note(Wait::Spin, AT_ONCE);
        assert!(pace.is_quick());
        pace.note(Wait::Spin, SPIN);
        assert!(!pace.is_quick());
        assert_eq!(pace.of_thread(), Wait::Sleep);
        wait_until("it is tried again", BOUND, || pace.is_quick());
    }
}
