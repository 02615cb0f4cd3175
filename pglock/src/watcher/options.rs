//! The options of a prioritized section, and its result.

use std::sync::Arc;
use std::time::Duration;

use super::report::PrioritizeReport;
use super::side_effect::PrioritizeSideEffect;
use crate::database::Database;
use crate::error::Error;
use crate::model::backend::Backend;
use crate::telemetry::TraceContext;

/// How a section is watched.
#[derive(Clone)]
pub(crate) struct SectionOptions {
    /// The database in which the watcher looks for blockers.
    pub(crate) database: Database,
    /// The backend whose waits are prioritized.
    pub(crate) backend: Backend,
    pub(crate) interval: Duration,
    /// Whether to poll more than once.
    pub(crate) periodic: bool,
    pub(crate) side_effect: Arc<dyn PrioritizeSideEffect>,
    /// Where the section was begun.
    pub(crate) context: TraceContext,
}

/// The result of a section.
pub(crate) struct SectionResult {
    pub(crate) report: PrioritizeReport,
    /// The first thing that went wrong.
    pub(crate) error: Option<Error>,
}

impl SectionResult {
    pub(crate) fn into_result(self) -> Result<PrioritizeReport, Error> {
        self.error.map_or(Ok(self.report), Err)
    }
}
