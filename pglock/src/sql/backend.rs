//! Which backend a row is about.

use super::rows::Row;
use crate::model::backend::Backend;

/// From a row that begins with the pid and the [start](start_of).
pub(crate) fn read(row: &Row<'_>) -> Option<Backend> {
    Some(Backend {
        pid: row.parsed(0)?,
        started: row.parsed(1),
    })
}

/// The SQL of [`Backend::started`], from a column such as `backend_start`: whatever the session's time zone.
pub(crate) fn start_of(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000::numeric)::bigint")
}
