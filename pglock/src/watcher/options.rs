//! What is to be watched, and what has become of it.

use std::sync::Arc;
use std::time::Duration;

use super::report::PrioritizeReport;
use super::side_effect::PrioritizeSideEffect;
use crate::database::Database;
use crate::error::Error;
use crate::model::backend::Backend;
use crate::telemetry::TraceContext;

/// What is to be watched, and how.
#[derive(Clone)]
pub(crate) struct SectionOptions {
    /// Where the watcher looks.
    pub(crate) database: Database,
    /// Whose waits.
    pub(crate) backend: Backend,
    pub(crate) interval: Duration,
    /// Whether there is more than one look.
    pub(crate) periodic: bool,
    pub(crate) side_effect: Arc<dyn PrioritizeSideEffect>,
    /// Where it was begun.
    pub(crate) context: TraceContext,
}

/// What has become of a section.
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
