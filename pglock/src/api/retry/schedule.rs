//! How long each try waits for locks, and how long to pause after it.

use std::time::Duration;

const FIRST_LIMIT: Duration = Duration::from_millis(100);
const LIMIT_GROWTH: f64 = 1.1221;
pub(super) const LONGEST_LIMIT: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE_GROWTH: f64 = 1.265;
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// With these, both have grown to their longest, as with the 41 steps of GitLab's `with_lock_retries`.
pub(super) const TRIES: u32 = 41;

/// The lock timeout of a try, counted from 1.
pub(super) fn limit(try_number: u32, longest: Duration) -> Duration {
    grown(FIRST_LIMIT, LIMIT_GROWTH, try_number).min(longest)
}

/// The pause after a try, counted from 1, before chance makes it a little shorter or longer.
pub(super) fn pause(try_number: u32) -> Duration {
    grown(FIRST_PAUSE, PAUSE_GROWTH, try_number).min(LONGEST_PAUSE)
}

fn grown(first: Duration, growth: f64, try_number: u32) -> Duration {
    let grown = first.as_secs_f64() * growth.powf(f64::from(try_number.saturating_sub(1)));
    Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_pauses_grow_from_tenths_of_a_second_to_their_longest() {
        assert_eq!(limit(1, LONGEST_LIMIT), Duration::from_millis(100));
        assert_eq!(pause(1), Duration::from_millis(50));
        assert!(limit(TRIES - 1, LONGEST_LIMIT) < LONGEST_LIMIT);
        assert!(pause(TRIES - 1) < LONGEST_PAUSE);
        for try_number in [TRIES, 1000, u32::MAX] {
            assert_eq!(limit(try_number, LONGEST_LIMIT), LONGEST_LIMIT);
            assert_eq!(pause(try_number), LONGEST_PAUSE);
        }
        assert_eq!(
            limit(1, Duration::from_millis(20)),
            Duration::from_millis(20)
        );
        assert!(limit(60, Duration::from_secs(30)) == Duration::from_secs(30));
    }

    /// What the documentation says of the default.
    #[test]
    fn all_tries_take_forty_minutes_and_wait_for_less_than_two_of_them() {
        let pauses: Duration = (1..TRIES).map(pause).sum();
        let limits: Duration = (1..=TRIES).map(|it| limit(it, LONGEST_LIMIT)).sum();
        assert_eq!((pauses + limits).as_secs() / 60, 39);
        assert_eq!(limits.as_secs(), 91);
        for (tries, seconds) in [(10, 3), (20, 23), (30, 197)] {
            let pauses: Duration = (1..tries).map(pause).sum();
            let limits: Duration = (1..=tries).map(|it| limit(it, LONGEST_LIMIT)).sum();
            assert_eq!((pauses + limits).as_secs(), seconds, "{tries}");
        }
    }
}
