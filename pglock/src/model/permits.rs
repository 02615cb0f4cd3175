//! How many may hold a lock at once, and which locks their permits are.
//!
//! A limit is made of locks that exclude as any other: the one with the limit's own name is held by who is first in line,
//! one for each permit by who has that, and one that says the number is shared by all who have a permit.

use std::iter;
use std::ops::RangeInclusive;

use super::lock_id::{Key, LockId, hash};
use super::lock_request::LockSpec;
use super::options::AdvisoryMode;
use crate::error::Error;

const ALLOWED: RangeInclusive<u32> = 2..=1_000;

/// The low bits of a number lock's second half, which say the number. The bits above, and the first half, say the name.
const NUMBER_BITS: u32 = 10;

const NUMBER: u32 = (1 << NUMBER_BITS) - 1;

/// The number of permits of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permits(u32);

impl Permits {
    pub(crate) fn new(count: u32, id: &LockId) -> Result<Self, Error> {
        if ALLOWED.contains(&count) {
            return Ok(Self(count));
        }
        let instead = match count {
            0 => "with none nothing would ever run",
            1 => "for one at a time use `advisory`",
            _ => "a limit has 1,000 at most",
        };
        Err(Error::config(format!(
            "limit {id} cannot have {count} permits: {instead}; write a number from 2 to 1,000"
        )))
    }

    pub(crate) fn count(self) -> u32 {
        self.0
    }

    /// The lock that is the permit of this number.
    // Input:  "sms", 2
    // Output: "sms (slot 2)"
    pub(crate) fn slot_id(limit: &LockId, number: u32) -> LockId {
        LockId::Name(format!("{} (slot {number})", plain(limit)).into())
    }

    /// The lock that says how many permits there are.
    pub(crate) fn number_lock(self, limit: &LockSpec) -> LockSpec {
        let (first, second) = self.number_key(limit);
        LockSpec {
            id: LockId::Pair(first, second),
            key: Key::Pair(first, second),
            mode: AdvisoryMode::Shared,
            label: None,
            isolation: limit.isolation.clone(),
        }
    }

    /// Its key.
    pub(crate) fn number_key(self, limit: &LockSpec) -> (i32, i32) {
        let (first, second) = Self::number_keys(limit);
        let second = second | (self.0 - 1);
        (first.cast_signed(), second.cast_signed())
    }

    /// What all locks that say the number of permits of one limit begin with: the first half, and the second without
    /// [the number](Permits::read_number).
    pub(crate) fn number_keys(limit: &LockSpec) -> (u32, u32) {
        let hash = hash(&format!("{} (limit)", plain(&limit.id)));
        let hash = limit.isolation.hash(hash).to_be_bytes();
        let half = |at: usize| {
            let bytes = &hash[at..at + 4];
            bytes
                .iter()
                .fold(0, |half, byte| half << 8 | u32::from(*byte))
        };
        (half(0), half(4) & !NUMBER)
    }

    /// The greatest second half of a lock that says the number of permits of one limit, by its least.
    pub(crate) fn last_number_key(least: u32) -> u32 {
        least | NUMBER
    }

    /// The number of permits that the second half of such a lock says.
    pub(crate) fn read_number(second: u32) -> u32 {
        (second & NUMBER) + 1
    }

    /// The number of permits that a lock says, if it says that of this limit.
    pub(crate) fn of_number_key(key: (i32, i32), limit: &LockSpec) -> Option<u32> {
        let (first, least) = Self::number_keys(limit);
        let second = key.1.cast_unsigned();
        let says = key.0.cast_unsigned() == first && second & !NUMBER == least;
        says.then(|| Self::read_number(second))
    }

    /// The permits in the order in which to try them: from `first` on, more at once each time.
    // Input:  8 permits, first 6
    // Output: [6], [7, 0], [1, 2, 3, 4], [5]
    pub(crate) fn batches(self, first: u32) -> impl Iterator<Item = Vec<u32>> {
        let mut left = (0..self.0).map(move |nth| (first + nth) % self.0);
        let sizes = iter::successors(Some(1), |size| Some(2 * size));
        sizes
            .map(move |size| left.by_ref().take(size).collect::<Vec<_>>())
            .take_while(|batch| !batch.is_empty())
    }
}

/// # Locks of limits
impl LockId {
    /// The lock that is one of the permits of a [`limit`](fn@crate::limit), by its number, which
    /// [`Guard::slot`](crate::Guard::slot) says.
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// assert_eq!(LockId::permit("sms", 2), LockId::from("sms (slot 2)"));
    /// assert_eq!(LockId::permit(42, 0), LockId::from("#42 (slot 0)"));
    /// ```
    #[must_use]
    pub fn permit(limit: impl Into<Self>, slot: u32) -> Self {
        Permits::slot_id(&limit.into(), slot)
    }

    /// How many permits the [`limit`](fn@crate::limit) has, if this is the lock that says so: all who have a permit
    /// share it.
    ///
    /// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html), which shows it as a pair of
    /// integers.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// let _permit = pglock::limit(3, "sms").acquire()?;
    /// let locks = pglock::locks().fetch(&mut client)?;
    /// let keys = locks.iter().filter_map(|lock| lock.advisory_key.as_ref());
    /// let counts: Vec<u32> = keys.filter_map(|key| key.permits_of("sms")).collect();
    /// assert_eq!(counts, [3]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn permits_of(&self, limit: impl Into<Self>) -> Option<u32> {
        let Self::Pair(first, second) = *self else {
            return None;
        };
        let limit = LockSpec::new(limit.into(), AdvisoryMode::Exclusive, None).ok()?;
        Permits::of_number_key((first, second), &limit)
    }
}

/// Not the same for a name and a number that looks like it.
// Input:  "sms"    42
// Output: sms      #42
fn plain(id: &LockId) -> String {
    match id {
        LockId::Name(name) => name.to_string(),
        id => format!("#{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(id: impl Into<LockId>) -> LockSpec {
        LockSpec::new(id.into(), AdvisoryMode::Exclusive, None).unwrap()
    }

    #[test]
    fn a_limit_has_from_two_to_a_thousand_permits() {
        let of = |count| Permits::new(count, &"sms".into());
        assert!(of(2).is_ok() && of(1_000).is_ok());
        for (count, instead) in [(0, "ever run"), (1, "`advisory`"), (1_001, "at most")] {
            let error = of(count).unwrap_err().to_string();
            assert!(error.contains(instead), "{error}");
        }
    }

    #[test]
    fn permits_are_tried_from_one_on_and_each_once() {
        let batches: Vec<_> = Permits(8).batches(6).collect();
        assert_eq!(batches, [vec![6], vec![7, 0], vec![1, 2, 3, 4], vec![5]]);
        for count in [2, 3, 7, 1_000] {
            let mut tried: Vec<_> = Permits(count).batches(count - 1).flatten().collect();
            tried.sort_unstable();
            assert_eq!(tried, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_number_can_be_read_from_its_lock() {
        for limit in [spec("sms"), spec("mail"), spec(42), spec((1, 2))] {
            let (begins, begin) = Permits::number_keys(&limit);
            for count in [2, 3, 999, 1_000] {
                let (first, second) = Permits(count).number_key(&limit);
                assert_eq!(first.cast_unsigned(), begins);
                assert_eq!(second.cast_unsigned() & !NUMBER, begin);
                assert_eq!(Permits::read_number(second.cast_unsigned()), count);
                let lock = LockId::Pair(first, second);
                assert_eq!(lock.permits_of(limit.id.clone()), Some(count));
                assert_eq!(lock.permits_of("another"), None);
            }
        }
    }

    #[test]
    fn permits_have_names_of_their_own() {
        assert_eq!(Permits::slot_id(&"sms".into(), 2), "sms (slot 2)".into());
        assert_eq!(Permits::slot_id(&42.into(), 0), "#42 (slot 0)".into());
        assert_ne!(
            Permits(2).number_key(&spec("sms")),
            Permits(2).number_key(&spec("mail"))
        );
    }
}
