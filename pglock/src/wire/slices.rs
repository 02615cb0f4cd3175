//! A wait on a connection of the caller's: statements that wait for a slice of the time, one after the other.
//!
//! A statement that waits keeps a snapshot. Each `.. CONCURRENTLY` waits for it, and vacuum removes nothing that is newer. On
//! pglock's own sessions a wait is ended when somebody waits for it. On a caller's nobody looks on, so it is begun anew all
//! the time. A slice is long enough for the server's search for deadlocks: see `sql/advisory.rs`.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::SimpleQuery;
use super::protocol::{AcquireOutcome, acquire_session, holder};
use crate::model::lock_request::LockSpec;
use crate::model::options::WaitPolicy;
use crate::telemetry::WaitReport;

/// Acquires a session lock on a connection of the caller's. A wait that lasts is reported between two slices.
///
/// If the lock's holder itself runs such a statement, that waits for our slice or for another, which the server may find to be
/// a deadlock. It ends with the slice.
pub(crate) async fn acquire_in_slices(
    wire: &mut impl SimpleQuery,
    lock: &LockSpec,
    wait: WaitPolicy,
    report: Option<&WaitReport>,
) -> AcquireOutcome {
    let began = Instant::now();
    let mut report_at = WaitReport::next_after(Duration::ZERO);
    let (mut slice, mut in_the_way, mut times) = (wait, None, 0);
    loop {
        let outcome = acquire_session(wire, lock, slice, None).await;
        match &outcome {
            AcquireOutcome::Busy => times = 0,
            AcquireOutcome::Failed(failure)
                if failure.is(&SqlState::T_R_DEADLOCK_DETECTED) && failure.in_the_way.is_some() =>
            {
                times = if failure.in_the_way == in_the_way {
                    times + 1
                } else {
                    1
                };
                in_the_way = failure.in_the_way;
                if times == NO_SLICE {
                    return outcome;
                }
            }
            _ => return outcome,
        }
        if let Some(report) = report
            && began.elapsed() >= report_at
        {
            let waited = began.elapsed();
            report.emit(waited, holder(wire, lock).await.holder());
            report_at = WaitReport::next_after(waited);
        }
        match left_of(wait, began.elapsed()) {
            Some(left) => slice = left,
            None => return AcquireOutcome::Busy,
        }
    }
}

/// After how many deadlocks in a row over the same transaction it is not one of a slice. A slice has ended after three at the
/// latest, since they are `deadlock_timeout` apart.
const NO_SLICE: usize = 4;

/// What is left of a wait after this time. Part of a millisecond counts as one, or the wait would end too early.
fn left_of(wait: WaitPolicy, elapsed: Duration) -> Option<WaitPolicy> {
    match wait {
        WaitPolicy::NoWait => None,
        WaitPolicy::Block => Some(WaitPolicy::Block),
        WaitPolicy::Millis(_) => {
            let left = wait.bound()?.checked_sub(elapsed)?;
            let millis = i32::try_from(left.as_nanos().div_ceil(1_000_000)).ok()?;
            (millis > 0).then_some(WaitPolicy::Millis(millis))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::block_on;
    use crate::error::{Failure, VirtualTransaction};
    use crate::model::options::AdvisoryMode;
    use crate::sql::Rows;

    /// A connection on which each wait is a deadlock, over these transactions, and then over the last of them.
    struct Deadlocks {
        over: Vec<VirtualTransaction>,
        waits: usize,
    }

    impl SimpleQuery for Deadlocks {
        /// The release of what is left.
        async fn simple_query(&mut self, _: &str) -> Result<Rows, Failure> {
            Ok(Rows::default())
        }

        async fn simple_query_or_clean_up(&mut self, _: &str) -> Result<Rows, Failure> {
            let over = self.over.get(self.waits).or(self.over.last());
            self.waits += 1;
            Err(Failure {
                sql_state: Some(SqlState::T_R_DEADLOCK_DETECTED),
                in_the_way: over.copied(),
                ..Failure::local("deadlock detected", false)
            })
        }
    }

    fn waits_until_deadlock(over: &[VirtualTransaction]) -> usize {
        let lock = LockSpec::new(1.into(), AdvisoryMode::Exclusive, None).unwrap();
        let mut wire = Deadlocks {
            over: over.to_vec(),
            waits: 0,
        };
        let outcome = block_on(acquire_in_slices(&mut wire, &lock, WaitPolicy::Block, None));
        assert!(matches!(outcome, AcquireOutcome::Failed(_)), "{outcome:?}");
        wire.waits
    }

    #[test]
    fn a_deadlock_over_a_transaction_that_does_not_end_is_one() {
        assert_eq!(waits_until_deadlock(&[]), 1);
        assert_eq!(waits_until_deadlock(&[(3, 41)]), NO_SLICE);
        let slices = [(3, 41), (3, 41), (3, 42), (4, 42), (4, 42)];
        assert_eq!(waits_until_deadlock(&slices), 3 + NO_SLICE);
    }

    #[test]
    fn what_is_left_of_a_wait_is_never_less_than_its_time() {
        let left = |micros| left_of(WaitPolicy::Millis(10), Duration::from_micros(micros));
        assert_eq!(left(0), Some(WaitPolicy::Millis(10)));
        assert_eq!(left(8_999), Some(WaitPolicy::Millis(2)));
        assert_eq!(left(9_001), Some(WaitPolicy::Millis(1)));
        assert_eq!((left(10_000), left(10_001)), (None, None));
        assert_eq!(left_of(WaitPolicy::NoWait, Duration::ZERO), None);
        let forever = left_of(WaitPolicy::Block, Duration::MAX);
        assert_eq!(forever, Some(WaitPolicy::Block));
    }
}
