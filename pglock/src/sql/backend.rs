//! Reading a backend from a row.

use super::rows::Row;
use crate::model::backend::Backend;

/// Reads the first two columns: the pid, and the start in [microseconds](super::parts::microseconds).
pub(crate) fn read(row: &Row<'_>) -> Option<Backend> {
    Some(Backend {
        pid: row.parsed(0)?,
        started: row.parsed(1),
    })
}
