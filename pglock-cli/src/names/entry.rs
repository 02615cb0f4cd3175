//! A name of a lock, and where it is known from.

use std::fmt;

use pglock::LockId;

/// Where a name is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// A session says it, and it hashes to the key.
    Session,
    /// `[names] locks` in `pglock.toml`, or the command line.
    Config,
    /// The catalog of a program.
    Catalog,
    /// It is a lock of a limit whose name is known.
    Limit,
    /// `[names] try` in `pglock.toml`: it was guessed, and hashes to the key.
    Tried,
    BuiltIn,
}

impl NamedBy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Config => "pglock.toml",
            Self::Catalog => "catalog",
            Self::Limit => "limit",
            Self::Tried => "tried",
            Self::BuiltIn => "built in",
        }
    }
}

/// A name that is known before a server is asked.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// None for one with placeholders.
    pub(crate) id: Option<LockId>,
    pub(crate) from: NamedBy,
    /// How many permits it has, if it is a limit.
    pub(crate) permits: Option<u32>,
    /// Where a program takes the lock.
    pub(crate) taken: Option<Taken>,
}

/// Where a program takes a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The name of the file that says so.
    pub(crate) catalog: String,
    /// File and line.
    pub(crate) place: String,
    pub(crate) function: String,
    /// How it is taken: `advisory, timeout 30 s, Skip`.
    pub(crate) how: String,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            catalog,
            place,
            function,
            how,
        } = self;
        write!(f, "{place}: {function}: {how} ({catalog})")
    }
}

/// The key that a text is: one integer, or two with a comma between them.
pub(crate) fn read_key(word: &str) -> Option<LockId> {
    if let Some((first, second)) = word.split_once(',') {
        return Some(LockId::Pair(
            first.trim().parse().ok()?,
            second.trim().parse().ok()?,
        ));
    }
    word.parse().ok().map(LockId::Key)
}
