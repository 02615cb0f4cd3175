//! Names that are guessed: `invoices-{1..100000}` stands for a hundred thousand of them, which are hashed and compared.

use std::collections::HashMap;
use std::sync::OnceLock;

use pglock::LockId;

use crate::failure::Failure;

/// More take seconds to hash.
const MOST: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Guesses {
    patterns: Vec<Pattern>,
    /// Made when a key is looked up that nothing else has a name for.
    by_key: OnceLock<HashMap<LockId, String>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    before: String,
    first: u64,
    last: u64,
    after: String,
}

impl Guesses {
    pub(super) fn new(patterns: &[String]) -> Result<Self, Failure> {
        let patterns: Vec<Pattern> = patterns
            .iter()
            .map(|text| {
                Pattern::parse(text).ok_or_else(|| {
                    Failure::new(format!(
                        "{text:?} in `try` of [names] has no range; write one as in \"invoices-{{1..1000}}\""
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        let count = |pattern: &Pattern| (pattern.last - pattern.first).saturating_add(1);
        let all = patterns.iter().map(count).fold(0, u64::saturating_add);
        if all > MOST {
            return Err(Failure::new(format!(
                "`try` in [names] stands for {all} names, and {MOST} are the most that are tried; write smaller ranges"
            )));
        }
        Ok(Self {
            patterns,
            by_key: OnceLock::new(),
        })
    }

    pub(super) fn of_key(&self, key: &LockId) -> Option<String> {
        if self.patterns.is_empty() {
            return None;
        }
        let by_key = self.by_key.get_or_init(|| {
            let names = self.patterns.iter().flat_map(Pattern::names);
            names
                .map(|name| (LockId::from(name.as_str()).to_key(), name))
                .collect()
        });
        by_key.get(&key.to_key()).cloned()
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then(|| Self {
            before: before.to_owned(),
            first,
            last,
            after: after.to_owned(),
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let Self { before, after, .. } = self;
        (self.first..=self.last).map(move |number| format!("{before}{number}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesses(patterns: &[&str]) -> Result<Guesses, Failure> {
        let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
        Guesses::new(&patterns)
    }

    #[test]
    fn a_name_of_a_range_is_found_by_its_key() {
        let guesses = guesses(&["invoices-{1..50}", "part {7..7} of 9"]).unwrap();
        for name in ["invoices-1", "invoices-50", "part 7 of 9"] {
            assert_eq!(
                guesses.of_key(&LockId::from(name).to_key()).as_deref(),
                Some(name)
            );
        }
        for name in ["invoices-0", "invoices-51", "part 8 of 9"] {
            assert_eq!(guesses.of_key(&LockId::from(name).to_key()), None);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "invoices",
            "invoices-{1..}",
            "invoices-{2..1}",
            "invoices-{a..b}",
        ] {
            assert!(guesses(&[text]).is_err(), "{text}");
        }
        assert!(guesses(&["a-{1..600000}", "b-{1..600000}"]).is_err());
        assert!(guesses(&["a-{0..18446744073709551615}", "b-{1..2}"]).is_err());
    }
}
