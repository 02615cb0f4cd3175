//! Which session of the server's: a pid alone may be another's later.

/// A session of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    /// When it connected, in microseconds since 1970, `None` where our role may not see it.
    pub(crate) started: Option<i64>,
}
