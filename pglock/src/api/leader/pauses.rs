//! How long a leader pauses before it waits for the lock again.

use std::time::Duration;

/// The longest pause while the database is away, unless `restart` is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double while the database is away.
pub(super) struct Pauses {
    restart: Duration,
    next: Duration,
}

impl Pauses {
    pub(super) fn new(restart: Duration) -> Self {
        Self {
            restart,
            next: restart,
        }
    }

    /// Whether the database was away when it was last asked.
    pub(super) fn have_grown(&self) -> bool {
        self.next > self.restart
    }

    /// The database has answered, so the next outage begins with a short pause again.
    pub(super) fn answered(&mut self) {
        self.next = self.restart;
    }

    /// The pause now. The next one is longer if the database is away.
    pub(super) fn next(&mut self, is_away: bool) -> Duration {
        let now = self.next;
        if is_away {
            self.next = (now * 2).min(LONGEST.max(self.restart));
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(pauses: &mut Pauses, number: usize) -> Vec<u64> {
        (0..number).map(|_| pauses.next(true).as_secs()).collect()
    }

    #[test]
    fn they_double_while_the_database_is_away_up_to_half_a_minute() {
        let mut pauses = Pauses::new(SECOND);
        assert!(!pauses.have_grown());
        assert_eq!(seconds(&mut pauses, 7), [1, 2, 4, 8, 16, 30, 30]);
        assert!(pauses.have_grown());
    }

    #[test]
    fn an_answer_sets_them_back() {
        let mut pauses = Pauses::new(SECOND);
        seconds(&mut pauses, 5);
        pauses.answered();
        assert!(!pauses.have_grown());
        assert_eq!(seconds(&mut pauses, 3), [1, 2, 4]);
    }

    #[test]
    fn what_passes_while_the_database_is_there_lengthens_none() {
        let mut pauses = Pauses::new(SECOND);
        assert_eq!([pauses.next(false), pauses.next(false)], [SECOND; 2]);
    }

    #[test]
    fn one_that_is_longer_from_the_beginning_stays_so() {
        let mut pauses = Pauses::new(60 * SECOND);
        assert_eq!(seconds(&mut pauses, 3), [60, 60, 60]);
        assert!(!pauses.have_grown());
    }
}
