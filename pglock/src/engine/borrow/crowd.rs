//! Whether callers are many: together in a statement they are faster than one after the other.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// For how long after callers shared a statement they count as many.
const CROWD: Duration = Duration::from_millis(1);

/// Of one database.
pub(in crate::engine) struct Crowd {
    since: Instant,
    /// When callers last were many, in microseconds; zero: never.
    last: AtomicU64,
    /// How many tasks have let others go first.
    arrivals: AtomicUsize,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            last: AtomicU64::new(0),
            arrivals: AtomicUsize::new(0),
        }
    }
}

impl Crowd {
    /// Callers are many now.
    pub(in crate::engine) fn note(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    pub(in crate::engine) fn is_now(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let crowd = u64::try_from(CROWD.as_micros()).unwrap_or(u64::MAX);
        last != 0 && self.now().saturating_sub(last) < crowd
    }

    fn now(&self) -> u64 {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        micros.max(1)
    }

    /// Whether this task is alone. It lets the other tasks of its executor run once, since none of them could ask for a lock
    /// while this one keeps the thread: without that each would look as if it were alone.
    pub(in crate::engine) async fn is_task_alone(&self) -> bool {
        if self.is_now() {
            return false;
        }
        let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        yield_now().await;
        if self.arrivals.load(Ordering::Relaxed) != arrival {
            self.note();
        }
        !self.is_now()
    }
}

/// On any executor, so not tokio's.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use pglock_tests::{BOUND, wait_until};

    use super::*;
    use crate::background::block_on;

    #[test]
    fn one_task_is_alone_again_and_again() {
        let crowd = Crowd::default();
        for _ in 0..3 {
            assert!(block_on(crowd.is_task_alone()));
        }
    }

    #[test]
    fn tasks_of_one_thread_are_many_and_that_passes() {
        let crowd = Crowd::default();
        let alone = block_on(async {
            let one = || crowd.is_task_alone();
            tokio::join!(one(), one(), one())
        });
        assert_eq!(alone, (false, false, false));
        assert!(crowd.is_now());
        wait_until("it has passed", BOUND, || !crowd.is_now());
        assert!(block_on(crowd.is_task_alone()));
    }
}
