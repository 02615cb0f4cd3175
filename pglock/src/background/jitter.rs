//! Chance, so that what many processes do after the same event doesn't happen at once.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The delay, or up to a quarter less or more.
pub(crate) fn jittered(delay: Duration) -> Duration {
    let share = f64::from(any_number(256)) / 255.0;
    delay.mul_f64(0.75 + 0.5 * share)
}

/// Any number below this one, which is not zero.
pub(crate) fn any_number(below: u32) -> u32 {
    let hash = RandomState::new().hash_one(Instant::now());
    u32::try_from(hash % u64::from(below)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_differ_and_are_near() {
        let delays: Vec<_> = (0..100).map(|_| jittered(Duration::from_secs(4))).collect();
        let near = Duration::from_secs(3)..=Duration::from_secs(5);
        assert!(
            delays.iter().all(|delay| near.contains(delay)),
            "{delays:?}"
        );
        assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
    }
}
