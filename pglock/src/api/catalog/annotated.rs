//! An annotated function, which registers itself at link time.

use std::time::Duration;

use crate::error::Error;

/// What an attribute says of its function.
#[derive(Debug)]
pub struct AnnotatedFn {
    pub(super) attribute: &'static str,
    /// The function's path.
    pub(super) function: &'static str,
    pub(super) file: &'static str,
    pub(super) line: u32,
    column: u32,
    pub(super) id: AnnotatedId,
    /// Where it takes several locks.
    pub(super) all: &'static [AnnotatedId],
    pub(super) timeout: Option<Duration>,
    pub(super) side_effect: Option<&'static str>,
    pub(super) is_shared: bool,
    pub(super) is_xact: bool,
    pub(super) permits: Option<u32>,
    pub(super) once_in: Option<Duration>,
    pub(super) is_fenced: bool,
    pub(super) prioritize_from: Option<u32>,
}

/// How an attribute names its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotatedId {
    /// It takes no advisory lock, or decides at run time which.
    Unknown,
    /// After the function.
    Function,
    /// By a text.
    Name(&'static str),
    /// A text with placeholders.
    Template(&'static str),
    /// By a number.
    Key(i64),
    /// By two numbers.
    Pair(i32, i32),
}

/// An entry of the list that the linker builds.
#[derive(Debug)]
pub struct Registration(pub &'static AnnotatedFn);

inventory::collect!(Registration);

impl AnnotatedFn {
    /// One of whose attribute nothing more is known.
    #[must_use]
    pub const fn new(
        attribute: &'static str,
        function: &'static str,
        file: &'static str,
        line: u32,
        column: u32,
    ) -> Self {
        Self {
            attribute,
            function,
            file,
            line,
            column,
            id: AnnotatedId::Unknown,
            all: &[],
            timeout: None,
            side_effect: None,
            is_shared: false,
            is_xact: false,
            permits: None,
            once_in: None,
            is_fenced: false,
            prioritize_from: None,
        }
    }

    /// How its lock is named.
    #[must_use]
    pub const fn id(mut self, id: AnnotatedId) -> Self {
        self.id = id;
        self
    }

    /// How each of its locks is named.
    #[must_use]
    pub const fn all_ids(mut self, ids: &'static [AnnotatedId]) -> Self {
        self.all = ids;
        self
    }

    /// For how long it waits.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Its side effect, by its word.
    #[must_use]
    pub const fn side_effect(mut self, side_effect: &'static str) -> Self {
        self.side_effect = Some(side_effect);
        self
    }

    /// Its lock is shared.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Its lock is held until the end of a transaction.
    #[must_use]
    pub const fn xact(mut self) -> Self {
        self.is_xact = true;
        self
    }

    /// So many may have its lock at once.
    #[must_use]
    pub const fn permits(mut self, permits: u32) -> Self {
        self.permits = Some(permits);
        self
    }

    /// It is run once in that time.
    #[must_use]
    pub const fn once_in(mut self, period: Duration) -> Self {
        self.once_in = Some(period);
        self
    }

    /// Its holders get tokens.
    #[must_use]
    pub const fn fenced(mut self) -> Self {
        self.is_fenced = true;
        self
    }

    /// From this try on it ends who is in the way.
    #[must_use]
    pub const fn prioritize_from(mut self, nth: u32) -> Self {
        self.prioritize_from = Some(nth);
        self
    }

    pub(crate) fn path(&self) -> &'static str {
        self.function
    }

    fn location(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// All that are linked into this program.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Registration>().map(|registration| registration.0)
    }

    /// Refuses a lock that is named after the function where another function's is named the same: the two would exclude each
    /// other by accident.
    pub(crate) fn refuse_duplicate(&'static self) -> Result<(), Error> {
        let other = Self::all().find(|other| {
            other.id == AnnotatedId::Function
                && other.function == self.function
                && !std::ptr::eq(*other, self)
        });
        match other {
            None => Ok(()),
            Some(other) => Err(Error::config(format!(
                "two functions have the default lock id {:?}, at {} and at {}; give one of them a `lock_id`",
                self.function,
                self.location(),
                other.location()
            ))),
        }
    }
}
