//! The annotated functions of a program.

pub(crate) mod annotated;
#[cfg(feature = "serde")]
mod answer;

use std::fmt;
use std::time::Duration;

use crate::model::lock_id::LockId;
use annotated::{AnnotatedFn, AnnotatedId};

#[cfg(feature = "serde")]
pub use answer::answer_catalog;

/// Every attribute of pglock's in this program, with its function, also in the crates that it is made of.
///
/// `Display` writes one in a line. With the feature `serde` it can be serialized, and `answer_catalog` gives it to the
/// command, which then knows the names of this program's locks.
///
/// ```
/// #[pglock::advisory("nightly-report", timeout = "30s")]
/// fn report() -> Result<(), pglock::Error> {
///     Ok(())
/// }
///
/// let catalog = pglock::catalog();
/// let entry = catalog.iter().find(|entry| entry.id == Some("nightly-report")).unwrap();
/// assert_eq!(entry.attribute, "advisory");
/// assert!(entry.function.ends_with("::report"));
/// assert!(entry.to_string().contains("advisory \"nightly-report\", timeout 30 s"));
/// ```
#[must_use]
pub fn catalog() -> Catalog {
    let mut entries: Vec<_> = AnnotatedFn::all().flat_map(CatalogEntry::all_of).collect();
    entries.sort_by_key(|entry| (entry.file, entry.line, entry.attribute));
    Catalog { entries }
}

/// Returned by [`catalog`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    entries: Vec<CatalogEntry>,
}

impl Catalog {
    /// The attributes, by file and line.
    pub fn iter(&self) -> std::slice::Iter<'_, CatalogEntry> {
        self.entries.iter()
    }
}

impl IntoIterator for Catalog {
    type Item = CatalogEntry;
    type IntoIter = std::vec::IntoIter<CatalogEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'c> IntoIterator for &'c Catalog {
    type Item = &'c CatalogEntry;
    type IntoIter = std::slice::Iter<'c, CatalogEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

/// An attribute on a function, of a [`Catalog`]; of one with `all(..)`, which takes several locks, each has an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the attribute"
)]
pub struct CatalogEntry {
    /// `advisory`, `leader`, `limit`, `prioritize`, `retry` or `timeout`.
    pub attribute: &'static str,
    /// The function, with the modules that it is in.
    pub function: &'static str,
    /// The source file that it is in.
    pub file: &'static str,
    /// The line of the attribute.
    pub line: u32,
    /// The name of the lock, with its placeholders as they are written, or the function's path where the attribute has no
    /// `lock_id`; `None` for a number, for an expression, and where there is no advisory lock.
    pub id: Option<&'static str>,
    /// The lock; `None` where that is decided at run time, and where there is no advisory lock.
    pub lock: Option<LockId>,
    /// For how long it waits; `None` without a timeout, and where that is decided at run time.
    pub timeout: Option<Duration>,
    /// The side effect, by its word: `Skip` of `advisory`; `Terminate`, which is the default, `Cancel` or `Escalate` of
    /// `prioritize`; `None` for `Raise`, for an expression, and for the other attributes.
    pub side_effect: Option<&'static str>,
    /// Whether the lock is shared.
    pub shared: bool,
    /// Whether the lock is held until the end of a transaction; else it is the session's.
    pub xact: bool,
    /// How many may have the lock at once; `None` where that is decided at run time, and for the other attributes than
    /// `limit`.
    pub permits: Option<u32>,
    /// Whether it is one of several locks, which the attribute takes together.
    pub all: bool,
    /// The time in which it is run once; `None` without `once_in`, and where that is decided at run time.
    pub once_in: Option<Duration>,
    /// Whether its holders get tokens.
    pub fenced: bool,
    /// The try from which on a `retry` ends who is in the way; `None` where it never does, and where that is decided at run
    /// time.
    pub prioritize_from: Option<u32>,
}

impl CatalogEntry {
    fn all_of(function: &'static AnnotatedFn) -> impl Iterator<Item = Self> {
        let ids = match function.all {
            [] => std::slice::from_ref(&function.id),
            all => all,
        };
        ids.iter().map(|id| Self::of(function, *id))
    }

    fn of(function: &AnnotatedFn, id: AnnotatedId) -> Self {
        let (id, lock) = match id {
            AnnotatedId::Unknown => (None, None),
            AnnotatedId::Function => (Some(function.function), Some(function.function.into())),
            AnnotatedId::Name(name) => (Some(name), Some(name.into())),
            AnnotatedId::Template(template) => (Some(template), None),
            AnnotatedId::Key(key) => (None, Some(LockId::Key(key))),
            AnnotatedId::Pair(first, second) => (None, Some(LockId::Pair(first, second))),
        };
        Self {
            attribute: function.attribute,
            function: function.function,
            file: function.file,
            line: function.line,
            id,
            lock,
            timeout: function.timeout,
            side_effect: function.side_effect,
            shared: function.is_shared,
            xact: function.is_xact,
            permits: function.permits,
            all: !function.all.is_empty(),
            once_in: function.once_in,
            fenced: function.is_fenced,
            prioritize_from: function.prioritize_from,
        }
    }
}

// Output: src/billing.rs:7: app::billing::bill: advisory "invoices-{customer}", timeout 30 s, Skip
impl fmt::Display for CatalogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            function,
            attribute,
            ..
        } = self;
        write!(f, "{file}:{line}: {function}: {attribute}")?;
        match (self.id, &self.lock) {
            (Some(id), _) => write!(f, " {id:?}")?,
            (None, Some(lock)) => write!(f, " {lock}")?,
            (None, None) => {}
        }
        if let Some(permits) = self.permits {
            write!(f, ", {permits} permits")?;
        }
        let duration = crate::error::humanize::duration;
        match self.timeout {
            Some(Duration::ZERO) => f.write_str(", tries once")?,
            Some(timeout) => write!(f, ", timeout {}", duration(timeout))?,
            None => {}
        }
        if let Some(period) = self.once_in {
            write!(f, ", once in {}", duration(period))?;
        }
        if let Some(nth) = self.prioritize_from {
            write!(f, ", prioritize from try {nth}")?;
        }
        if let Some(side_effect) = self.side_effect {
            write!(f, ", {side_effect}")?;
        }
        let words = [
            (self.shared, ", shared"),
            (self.xact, ", xact"),
            (self.fenced, ", fenced"),
            (self.all, ", with others"),
        ];
        words
            .iter()
            .filter(|(is_so, _)| *is_so)
            .try_for_each(|(_, word)| f.write_str(word))
    }
}
