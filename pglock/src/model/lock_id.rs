//! A lock's name, and the key that Postgres knows it by.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The ID of a lock: a name, an integer, or a pair of integers.
///
/// A name is hashed to a key: the first 8 bytes of its SHA-256, little-endian and signed. django-pglock derives the same
/// key, so that a worker in Rust and one in Python exclude each other. The hash never changes between versions. Postgres
/// keeps integers and pairs apart: `(0, 1)` and `1` are two locks.
///
/// See also [`pg_advisory_lock(bigint)` and `pg_advisory_lock(integer, integer)`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS).
///
/// ```
/// use pglock::LockId;
///
/// assert_eq!(LockId::from("invoices"), LockId::Name("invoices".into()));
/// assert_eq!(LockId::from(42), LockId::Key(42));
/// assert_eq!(LockId::from((1, 2)), LockId::Pair(1, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockId {
    /// A name, hashed to a 64-bit key. An empty one is rejected as [`ErrorKind::Config`](crate::ErrorKind::Config).
    Name(Cow<'static, str>),
    /// A 64-bit key.
    Key(i64),
    /// A pair of 32-bit keys, which never equals a 64-bit key.
    Pair(i32, i32),
    /// A name whose key another program makes in its own way.
    Foreign(ForeignId),
}

/// A lock that other programs call by this name, and by a key that they make of it in their own way: see
/// [`LockId::hashtext`] and its like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForeignId {
    pub(super) scheme: &'static str,
    pub(super) name: Cow<'static, str>,
    pub(super) key: Key,
}

impl ForeignId {
    /// The name that the key was made of.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ForeignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.name, self.scheme)
    }
}

impl LockId {
    /// The same lock, by its key: [`Key`](Self::Key) or [`Pair`](Self::Pair).
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// assert_eq!(LockId::from("hello").to_key(), LockId::Key(1_054_880_662_928_880_172));
    /// assert_eq!(LockId::from((1, 2)).to_key(), LockId::Pair(1, 2));
    /// ```
    #[must_use]
    pub fn to_key(&self) -> Self {
        Key::of(self).id()
    }
}

impl LockId {
    /// As it is displayed, but a name without quotes.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            id => id.to_string(),
        }
    }
}

#[cfg(feature = "serde")]
impl LockId {
    /// Its key as a text: one integer, or the two of a pair with a comma between them.
    pub(crate) fn key_text(&self) -> String {
        match self.to_key() {
            Self::Pair(first, second) => format!("{first},{second}"),
            key => key.to_string(),
        }
    }
}

impl fmt::Display for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Key(key) => write!(f, "{key}"),
            Self::Pair(first, second) => write!(f, "({first}, {second})"),
            Self::Foreign(id) => id.fmt(f),
        }
    }
}

impl From<&str> for LockId {
    fn from(name: &str) -> Self {
        Self::Name(Cow::Owned(name.to_owned()))
    }
}

impl From<String> for LockId {
    fn from(name: String) -> Self {
        Self::Name(Cow::Owned(name))
    }
}

impl From<&String> for LockId {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&Self> for LockId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl From<Cow<'_, str>> for LockId {
    fn from(name: Cow<'_, str>) -> Self {
        Self::Name(Cow::Owned(name.into_owned()))
    }
}

impl From<i64> for LockId {
    fn from(key: i64) -> Self {
        Self::Key(key)
    }
}

/// From integers that each have one key: `7_u8` and `7_i64` are the same lock.
macro_rules! from_smaller {
    ($($integer:ty)*) => {$(
        impl From<$integer> for LockId {
            fn from(key: $integer) -> Self {
                Self::Key(key.into())
            }
        }
    )*};
}

from_smaller!(i8 i16 i32 u8 u16 u32);

impl From<(i32, i32)> for LockId {
    fn from((first, second): (i32, i32)) -> Self {
        Self::Pair(first, second)
    }
}

/// What can be the ID of a lock: whatever is [`Into<LockId>`](LockId).
///
/// It has all that, and nothing else. It is there for what the compiler says of other types: a `u64` or an `usize` has no
/// key of its own, since Postgres' keys are signed.
///
/// An integer literal that does not fit into an `i32` needs its type, since several integers are IDs and the compiler then
/// takes an `i32`. In the attribute it is an `i64` without that.
///
/// ```
/// fn is_an_id(_: impl pglock::IntoLockId) {}
///
/// is_an_id("invoices");
/// is_an_id(7_u32);
/// is_an_id(5_000_000_000_i64);
/// is_an_id(format!("order-{}", u64::MAX));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the ID of a lock",
    label = "IDs are texts, integers that fit into an `i64`, and pairs of `i32`",
    note = "for a `u64`, a `usize` or any other value, write a name with it: `\"order-{{id}}\"` in the attribute, `format!(\"order-{{id}}\")` elsewhere",
    note = "if it is to be a key, convert it: `i64::try_from(id)?`, or `id.cast_signed()` for all of a `u64`"
)]
pub trait IntoLockId {
    #[doc(hidden)]
    fn into_lock_id(self) -> LockId;
}

#[diagnostic::do_not_recommend]
impl<T: Into<LockId>> IntoLockId for T {
    fn into_lock_id(self) -> LockId {
        self.into()
    }
}

/// The `classid` and `objid` under which `pg_locks` shows a lock.
///
/// Use them to find a lock by hand: `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = ... AND
/// objid = ...`. `objsubid` is 1 for names and integers, 2 for pairs.
///
/// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
///
/// ```
/// assert_eq!(pglock::advisory_id("hello"), (245_608_543, 3_125_670_444));
/// assert_eq!(pglock::advisory_id((1, 2)), (1, 2));
/// ```
#[must_use]
pub fn advisory_id(id: impl IntoLockId) -> (u32, u32) {
    Key::of(&id.into_lock_id()).pg_locks_columns()
}

/// Identifies a lock within one database, as Postgres does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Big(i64),
    Pair(i32, i32),
}

impl Key {
    pub(crate) fn of(id: &LockId) -> Self {
        match id {
            LockId::Name(name) => Self::Big(hash(name)),
            LockId::Key(key) => Self::Big(*key),
            LockId::Pair(first, second) => Self::Pair(*first, *second),
            LockId::Foreign(id) => id.key,
        }
    }

    pub(crate) fn checked(id: &LockId) -> Result<Self, Error> {
        let name = match id {
            LockId::Name(name) => Some(&**name),
            LockId::Foreign(id) => Some(id.name()),
            LockId::Key(_) | LockId::Pair(..) => None,
        };
        if name.is_some_and(str::is_empty) {
            return Err(Error::config(
                "the lock's name is empty, and all locks with an empty name would be the same lock; write a name",
            ));
        }
        Ok(Self::of(id))
    }

    /// The ID of the lock, without a name.
    pub(crate) fn id(self) -> LockId {
        match self {
            Self::Big(key) => LockId::Key(key),
            Self::Pair(first, second) => LockId::Pair(first, second),
        }
    }

    /// `classid` and `objid`.
    pub(crate) fn pg_locks_columns(self) -> (u32, u32) {
        match self {
            Self::Big(key) => {
                let half = |bytes: &[u8]| {
                    bytes
                        .iter()
                        .fold(0, |half, byte| half << 8 | u32::from(*byte))
                };
                let bytes = key.to_be_bytes();
                (half(&bytes[..4]), half(&bytes[4..]))
            }
            Self::Pair(first, second) => (first.cast_unsigned(), second.cast_unsigned()),
        }
    }

    pub(crate) fn objsubid(self) -> u8 {
        match self {
            Self::Big(_) => 1,
            Self::Pair(..) => 2,
        }
    }
}

/// The key of a name.
pub(crate) fn hash(name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_django_pglock_hashes_them() {
        assert_eq!(Key::of(&"hello".into()), Key::Big(0x0ea3_b05f_ba4d_f22c));
        assert_eq!(advisory_id("hello"), (245_608_543, 3_125_670_444));
    }

    #[test]
    fn negative_keys_are_split_as_pg_locks_shows_them() {
        assert!(matches!(Key::of(&"a.b.c".into()), Key::Big(key) if key < 0));
        assert_eq!(advisory_id("a.b.c").0, 3_168_930_184);
        assert_eq!(advisory_id(-1), (u32::MAX, u32::MAX));
        assert_eq!(advisory_id(i64::MIN), (0x8000_0000, 0));
        assert_eq!(advisory_id(i64::MAX), (0x7fff_ffff, u32::MAX));
    }

    #[test]
    fn pairs_are_a_space_of_their_own() {
        assert_eq!(advisory_id((-1, i32::MAX)), (u32::MAX, 0x7fff_ffff));
        assert_ne!(Key::of(&(0, 1).into()), Key::of(&1.into()));
        assert_eq!(Key::of(&(0, 1).into()).objsubid(), 2);
    }

    #[test]
    fn integers_of_all_sizes_are_the_same_keys() {
        let keys = [
            LockId::from(7_i8),
            LockId::from(7_i16),
            LockId::from(7_i32),
            LockId::from(7_u8),
            LockId::from(7_u16),
            LockId::from(7_u32),
        ];
        assert_eq!(keys, [const { LockId::Key(7) }; 6]);
        assert_eq!(LockId::from(u32::MAX), LockId::Key(4_294_967_295));
        assert_eq!(LockId::from(i32::MIN), LockId::Key(-2_147_483_648));
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert!(Key::checked(&"".into()).is_err());
        assert!(Key::checked(&" ".into()).is_ok());
    }
}
