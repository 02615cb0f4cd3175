//! Which session of the server's: a pid alone may be another's later.

use crate::wire::Row;

/// A session of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    /// When it connected, in microseconds since 1970, as [`start_of`] says it; `None` where our role may not see it.
    pub(crate) started: Option<i64>,
}

impl Backend {
    /// From a row that begins with both.
    pub(crate) fn from_row(row: &Row<'_>) -> Option<Self> {
        Some(Self {
            pid: row.parsed(0)?,
            started: row.parsed(1),
        })
    }
}

/// The SQL of [`Backend::started`], from a column such as `backend_start`: whatever the session's time zone.
pub(crate) fn start_of(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000::numeric)::bigint")
}
