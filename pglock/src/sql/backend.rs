//! Which backend a row is about.

use super::rows::Row;
use crate::model::backend::Backend;

/// From a row that begins with the pid and the start in [microseconds](super::parts::microseconds).
pub(crate) fn read(row: &Row<'_>) -> Option<Backend> {
    Some(Backend {
        pid: row.parsed(0)?,
        started: row.parsed(1),
    })
}
