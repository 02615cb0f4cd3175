//! The SQL of the watcher, each text with the reader of its answer. Values are bound, as text.
//!
//! [`crate::sql`] says how names are written. A text is the same for all sections, except for the filters of a policy, so
//! it can be pasted into psql: `PREPARE` it, with as many parameters of type `text` as it has, and `EXECUTE` it.

mod arrays;
mod queue;
mod signal;
#[cfg(test)]
mod tests;
mod waiting;

use crate::sql::parts::microseconds;

pub(super) use signal::{Canceled, signal_blockers};
pub(super) use waiting::{activities, waiting};

/// Compares two starts. If one of them is hidden, the pid alone decides.
// Input:  s.backend_start, w.started
// Output: coalesce((extract(epoch FROM s.backend_start) * 1000000::numeric)::bigint = w.started, true)
fn same_start(backend_start: &str, started: &str) -> String {
    format!(
        "coalesce({} = {started}, true)",
        microseconds(backend_start)
    )
}
