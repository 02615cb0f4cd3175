//! The comment that statements about advisory locks begin with: it shows in `pg_stat_activity` which lock a session waits
//! for, or holds. Only this file writes and reads it.
//!
//! ```text
//! /* pglock: "nightly-report" */; SELECT ..                                      waits for the lock, or has acquired it
//! /* pglock: "nightly-report" held 3000 ms, (1, 2) held 20 ms, and 7 more */     the heartbeat of a session
//! /* pglock: "digest" held 3000 ms kept 27000 ms */                              its call has ended: `hold_at_least`
//! ```
//!
//! A comment can be written by anybody. A name is therefore read together with the key that it hashes to, and concerns only
//! the lock with that key.
//!
//! - It is ASCII: the server converts a statement to the encoding of its database, and fails if that lacks a character.
//! - It is a statement of its own, and empty: `pg_stat_statements` would otherwise keep the comment as a part of the first
//!   statement, and up to Postgres 15 count `BEGIN` and `SAVEPOINT` once for each name.

use std::cmp::Reverse;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use crate::model::lock_id::{Key, LockId, hash};

const BEGIN: &str = "/* pglock: ";
const END: &str = " */";

/// The most bytes of a comment; Postgres keeps 1,023 of a statement, unless `track_activity_query_size` is changed.
const MOST: usize = 1000;

/// The bytes that [`holding`] needs after the last lock that it names.
const MOST_OF_THE_END: usize = ", and 18446744073709551615 more */".len();

/// A name of more characters is cut to as many, if it also takes more bytes than [`MOST_OF_A_NAME`].
const CHARACTERS_OF_A_CUT_NAME: usize = 63;

/// The bytes that a longer name may take and is still written as a whole: names of functions with their path do.
const MOST_OF_A_NAME: usize = 200;

/// Between a name that is cut and its key.
const CUT: &str = "... key ";
/// Between a lock and for how long it has been held.
const HELD: &str = " held ";
/// Between that and for how long it will be kept.
const KEPT: &str = " kept ";
const UNIT: &str = " ms";
/// The fewest bytes of a lock in a heartbeat, with the comma.
const FEWEST: usize = "1 held 1 ms, ".len();

/// The statement, with the lock that it waits for or acquires in front.
pub(crate) fn naming(id: &LockId, sql: &str) -> String {
    format!("{BEGIN}{}{END}; {sql}", Written(id))
}

/// What a heartbeat says of a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownLock<'l> {
    pub(crate) id: &'l LockId,
    /// For how long it has been held.
    pub(crate) held: Duration,
    /// For how long it will be kept; `None` while the call that acquired it runs.
    pub(crate) kept: Option<Duration>,
}

/// A comment alone, with the locks that have been held longest: as many as fit.
pub(crate) fn holding(mut locks: Vec<ShownLock<'_>>) -> String {
    let count = locks.len();
    let longest = |lock: &ShownLock<'_>| Reverse(lock.held);
    if count > MOST / FEWEST {
        locks.select_nth_unstable_by_key(MOST / FEWEST, longest);
        locks.truncate(MOST / FEWEST);
    }
    locks.sort_by_key(longest);
    let mut comment = BEGIN.to_owned();
    for (nth, ShownLock { id, held, kept }) in locks.iter().enumerate() {
        let comma = if nth == 0 { "" } else { ", " };
        let mut lock = format!("{comma}{}{HELD}{}{UNIT}", Written(id), held.as_millis());
        if let Some(kept) = kept {
            let _ = write!(lock, "{KEPT}{}{UNIT}", kept.as_millis());
        }
        if comment.len() + lock.len() + MOST_OF_THE_END > MOST {
            let _ = write!(comment, ", and {} more", count - nth);
            break;
        }
        comment += &lock;
    }
    comment + END
}

/// Splits a statement into [`naming`]'s part, which is empty if there is none, and the rest.
#[cfg(any(feature = "diesel", feature = "diesel-async", feature = "sea-orm"))]
pub(crate) fn split(sql: &str) -> (&str, &str) {
    const END_OF_NAMING: &str = " */; ";
    let end = sql
        .starts_with(BEGIN)
        .then(|| sql.find(END_OF_NAMING))
        .flatten();
    sql.split_at(end.map_or(0, |end| end + END_OF_NAMING.len()))
}

/// A lock as it is displayed, but in ASCII, not too long, and without what would end the comment or begin another in it.
struct Written<'l>(&'l LockId);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            LockId::Name(name) => name,
            // A name of others does not hash to its key, so nobody would believe it.
            LockId::Foreign(_) => return Key::of(self.0).id().fmt(f),
            id @ (LockId::Key(_) | LockId::Pair(..)) => return id.fmt(f),
        };
        let whole = escaped(name);
        match name.char_indices().nth(CHARACTERS_OF_A_CUT_NAME) {
            Some((end, _)) if whole.len() > MOST_OF_A_NAME => {
                write!(f, "\"{}\"{CUT}{}", escaped(&name[..end]), hash(name))
            }
            _ => write!(f, "\"{whole}\""),
        }
    }
}

/// As in a string of Rust. The second character of `*/` and `/*` is escaped too.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    let mut before = None;
    for character in name.chars() {
        match (before, character) {
            (_, '\'') => escaped.push('\''),
            (Some('*'), '/') | (Some('/'), '*') => escaped.extend(['\\', character]),
            _ => escaped.extend(character.escape_default()),
        }
        before = Some(character);
    }
    escaped
}

/// A lock that a comment names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedLock {
    pub(crate) key: Key,
    /// A name whose hash is the key. `None` for other keys, and for a name that was cut.
    pub(crate) name: Option<String>,
    /// In a heartbeat, for how long it had been held.
    pub(crate) held: Option<Duration>,
    /// In a heartbeat, for how long it was to be kept from then on, after its call.
    pub(crate) kept: Option<Duration>,
}

impl NamedLock {
    /// Since when it has been held: a heartbeat says for how long at its start; the statement that acquired it ended as its
    /// session became idle.
    pub(crate) fn since(
        &self,
        statement_start: Option<SystemTime>,
        idle_since: Option<SystemTime>,
    ) -> Option<SystemTime> {
        match self.held {
            Some(held) => statement_start?.checked_sub(held),
            None => idle_since,
        }
    }
}

/// The locks that the comment names with which a statement begins. A comment that is cut off ends with the last whole one.
pub(crate) fn read(query: &str) -> impl Iterator<Item = NamedLock> {
    let mut rest = query.strip_prefix(BEGIN);
    std::iter::from_fn(move || {
        let (lock, after) = read_lock(rest.take()?)?;
        rest = after.strip_prefix(", ");
        // Otherwise the lock itself may be cut off.
        (rest.is_some() || after.starts_with(END)).then_some(lock)
    })
}

fn read_lock(text: &str) -> Option<(NamedLock, &str)> {
    let (key, name, after) = if let Some(text) = text.strip_prefix('"') {
        let (name, after) = read_name(text)?;
        match after.strip_prefix(CUT) {
            None => (Key::Big(hash(&name)), Some(name), after),
            Some(text) => {
                let (key, after) = read_number(text)?;
                (Key::Big(key), None, after)
            }
        }
    } else if let Some(text) = text.strip_prefix('(') {
        let (first, text) = read_number(text)?;
        let (second, text) = read_number(text.strip_prefix(", ")?)?;
        (Key::Pair(first, second), None, text.strip_prefix(')')?)
    } else {
        let (key, after) = read_number(text)?;
        (Key::Big(key), None, after)
    };
    let (held, after) = read_time(HELD, after)?;
    let (kept, after) = read_time(KEPT, after)?;
    let lock = NamedLock {
        key,
        name,
        held,
        kept,
    };
    Some((lock, after))
}

/// A time after the word, if that is there.
fn read_time<'t>(word: &str, text: &'t str) -> Option<(Option<Duration>, &'t str)> {
    let Some(time) = text.strip_prefix(word) else {
        return Some((None, text));
    };
    let (millis, after) = read_number(time)?;
    Some((
        Some(Duration::from_millis(millis)),
        after.strip_prefix(UNIT)?,
    ))
}

fn read_number<T: std::str::FromStr>(text: &str) -> Option<(T, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '-')
        .unwrap_or(text.len());
    let (number, after) = text.split_at(end);
    Some((number.parse().ok()?, after))
}

/// Reads what [`escaped`] wrote, up to the quote at its end.
fn read_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.chars();
    loop {
        let character = match chars.next()? {
            '"' => return Some((name, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let (number, after) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                    chars = after.chars();
                    char::from_u32(u32::from_str_radix(number, 16).ok()?)?
                }
                itself @ ('"' | '\\' | '*' | '/') => itself,
                _ => return None,
            },
            character => character,
        };
        name.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> LockId {
        text.into()
    }

    fn read_one(query: &str) -> NamedLock {
        let locks: Vec<NamedLock> = read(query).collect();
        let [lock] = <[NamedLock; 1]>::try_from(locks).unwrap();
        lock
    }

    #[test]
    fn a_lock_reads_as_it_is_displayed() {
        for id in [
            name("nightly-report"),
            name(r#"say "a\b""#),
            name("it's\t1\n2"),
            42.into(),
            (-1).into(),
            (1, -2).into(),
        ] {
            assert_eq!(
                naming(&id, "SELECT 1"),
                format!("/* pglock: {id} */; SELECT 1")
            );
        }
    }

    #[test]
    fn nothing_ends_the_comment_early_or_begins_another() {
        for (evil, written) in [
            ("*/ DROP", r#""*\/ DROP""#),
            ("/*/*", r#""/\*\/\*""#),
            ("a\0b\u{1b}", r#""a\u{0}b\u{1b}""#),
            ("größe 日", r#""gr\u{f6}\u{df}e \u{65e5}""#),
        ] {
            assert_eq!(
                naming(&name(evil), ""),
                format!("/* pglock: {written} */; ")
            );
        }
    }

    #[test]
    fn a_name_is_cut_if_it_is_long_in_characters_and_bytes() {
        let as_a_whole = |text: &str| read_one(&naming(&name(text), "")).name.is_some();
        assert!(as_a_whole(&"a".repeat(200)));
        assert!(as_a_whole(&"日".repeat(63)));
        assert!(!as_a_whole(&"日".repeat(64)));
        let long = "a".repeat(201);
        let (start, key) = ("a".repeat(63), hash(&long));
        let cut = format!("/* pglock: \"{start}\"... key {key} */; ");
        assert_eq!(naming(&name(&long), ""), cut);
    }

    #[test]
    fn the_locks_that_are_held_longest_are_named() {
        let (a, b) = (name("a"), LockId::Pair(1, 2));
        assert_eq!(
            holding(vec![held(&a, 1, Some(9)), held(&b, 3, None)]),
            "/* pglock: (1, 2) held 3000 ms, \"a\" held 1000 ms kept 9000 ms */"
        );
        let ids: Vec<LockId> = (0..2000)
            .map(|nth| name(&format!("invoices-{nth}")))
            .collect();
        let all = ids.iter().zip(0..).map(|(id, time)| held(id, time, None));
        let comment = holding(all.collect());
        let named = read(&comment).count();
        assert!(named > 25, "{comment}");
        assert!(comment.starts_with("/* pglock: \"invoices-1999\" held 1999000 ms, "));
        assert!(comment.ends_with(&format!(", and {} more */", 2000 - named)));
        // The shortest that there are: as many as fit are looked at.
        let ids: Vec<LockId> = (0..200).map(|nth| LockId::Key(nth % 10)).collect();
        let all = ids.iter().map(|id| held(id, 0, None));
        let comment = holding(all.collect());
        assert!(comment.ends_with(", and 127 more */"), "{comment}");
    }

    #[test]
    fn what_is_cut_off_or_not_ours_is_not_read() {
        let read = |query: &str| read(query).count();
        for query in [
            "",
            "SELECT '/* pglock: 1 */'",
            "/* pglock: 1",
            "/* pglock: 1 held 30",
            "/* pglock: 1 held 30 m",
            "/* pglock: 1 held 30 ms kept 2",
            "/* pglock: 1 held 30 ms kept x ms */",
            "/* pglock: 1 held -5 ms */",
            "/* pglock: (1, 2",
            "/* pglock: (1, 4294967296) */",
            "/* pglock: 92233720368547758080 */",
            "/* pglock: \"a",
            "/* pglock: \"a\"",
            "/* pglock: \"\\x\" */",
            "/* pglock: \"\\u{110000}\" */",
            "/* pglock: \"a\"... key 1",
        ] {
            assert_eq!(read(query), 0, "{query}");
        }
        assert_eq!(read("/* pglock: 1 held 3 ms, \"a\" held"), 1);
        assert_eq!(read("/* pglock: \"a\", 2, and 7 more */"), 2);
    }

    fn held(id: &LockId, held: u64, kept: Option<u64>) -> ShownLock<'_> {
        ShownLock {
            id,
            held: Duration::from_secs(held),
            kept: kept.map(Duration::from_secs),
        }
    }

    fn lock() -> impl Strategy<Value = (LockId, u32, Option<u32>)> {
        (lock_id(), any::<u32>(), any::<Option<u32>>())
    }

    fn shown((id, time, kept): &(LockId, u32, Option<u32>)) -> ShownLock<'_> {
        held(id, u64::from(*time), kept.map(u64::from))
    }

    fn lock_id() -> impl Strategy<Value = LockId> {
        // What could end a comment, a text or an escape, more often than among all characters.
        let special = "[*/\"\\\\'a-c{}u;$\\n]{0,12}";
        prop_oneof![
            special.prop_map(|text| name(&text)),
            any::<String>().prop_map(|text| name(&text)),
            vec(any::<char>(), 0..300).prop_map(|text| name(&String::from_iter(text))),
            any::<i64>().prop_map(LockId::from),
            any::<(i32, i32)>().prop_map(LockId::from),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in lock_id(), sql in any::<String>()) {
            let text = naming(&id, &sql);
            let lock = read_one(&text);
            prop_assert_eq!(lock.key, Key::of(&id));
            prop_assert_eq!((lock.held, lock.kept), (None, None));
            match (&id, lock.name) {
                (LockId::Name(name), Some(read)) => prop_assert_eq!(name.as_ref(), read),
                (LockId::Name(name), None) => prop_assert!(name.chars().count() > 63),
                (_, read) => prop_assert_eq!(read, None),
            }
        }

        #[test]
        fn a_comment_is_one_comment_in_ascii_and_short(locks in vec(lock(), 1..50)) {
            let held: Vec<ShownLock<'_>> = locks.iter().map(shown).collect();
            let texts = held.iter().map(|lock| naming(lock.id, "")).chain([holding(held.clone())]);
            for text in texts {
                let comment = text.strip_suffix("; ").unwrap_or(&text);
                prop_assert!(comment.len() <= MOST, "{}", comment);
                prop_assert!(comment.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", comment);
                let inside = &comment[2..comment.len() - 2];
                prop_assert!(!inside.contains("*/") && !inside.contains("/*"), "{}", comment);
            }
        }

        #[test]
        fn of_a_heartbeat_each_lock_is_named_or_counted(locks in vec(lock(), 1..50)) {
            let held: Vec<ShownLock<'_>> = locks.iter().map(shown).collect();
            let comment = holding(held.clone());
            let named: Vec<NamedLock> = read(&comment).collect();
            prop_assert!(!named.is_empty());
            for lock in &named {
                let is_held = |it: &ShownLock<'_>| {
                    Key::of(it.id) == lock.key && lock.held == Some(it.held) && lock.kept == it.kept
                };
                prop_assert!(held.iter().any(is_held));
            }
            let more = held.len() - named.len();
            let counted = comment.ends_with(&format!(", and {more} more */"));
            prop_assert_eq!(counted, more > 0);
        }

        #[test]
        fn any_text_can_be_read_and_cut_anywhere(text in any::<String>(), id in lock_id(), at in any::<prop::sample::Index>()) {
            read(&format!("{BEGIN}{text}")).for_each(drop);
            let whole = naming(&id, "");
            let cut: String = whole.chars().take(at.index(whole.len())).collect();
            for lock in read(&cut) {
                prop_assert_eq!(lock, read_one(&whole));
            }
        }
    }
}
