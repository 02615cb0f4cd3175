//! A part of the work whose waits are watched, as its caller sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::report::PrioritizeReport;
use super::side_effect::PrioritizeSideEffect;
use crate::backend::Backend;
use crate::database::Database;
use crate::telemetry::Origin;
use crate::{Error, engine};

/// Names a section of this process, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SectionId(u64);

static LAST_SECTION: AtomicU64 = AtomicU64::new(0);

/// What is to be watched, and how.
#[derive(Clone)]
pub(crate) struct Watch {
    /// Where the watcher looks.
    pub(crate) database: Database,
    /// Whose waits.
    pub(crate) backend: Backend,
    pub(crate) interval: Duration,
    /// Whether there is more than one look.
    pub(crate) periodic: bool,
    pub(crate) side_effect: Arc<dyn PrioritizeSideEffect>,
    /// Where it was begun.
    pub(crate) origin: Origin,
}

/// What has become of a section.
pub(crate) struct Ended {
    pub(crate) report: PrioritizeReport,
    /// The first thing that went wrong.
    pub(crate) error: Option<Error>,
}

impl Ended {
    pub(crate) fn into_result(self) -> Result<PrioritizeReport, Error> {
        self.error.map_or(Ok(self.report), Err)
    }
}

/// A section that is watched; dropping it ends the watch without waiting for a look that is under way.
pub(crate) struct Section {
    id: SectionId,
    /// The process that began it: after a fork, the child has only a copy of this value.
    process: u32,
}

impl Section {
    /// Begins the watch; an error when the watcher can't see the session.
    ///
    /// Dropped before that is known, nothing is watched any more.
    pub(crate) async fn begin(watch: Watch) -> Result<Self, Error> {
        let section = Self {
            id: SectionId(LAST_SECTION.fetch_add(1, Ordering::Relaxed)),
            process: std::process::id(),
        };
        engine::watch(section.id, watch).await?;
        Ok(section)
    }

    pub(crate) fn id(&self) -> SectionId {
        self.id
    }

    /// What has been done until now.
    pub(crate) async fn report(&self) -> Result<PrioritizeReport, Error> {
        engine::report(self.id).await
    }

    /// Ends the watch: afterwards nobody is hit for this section any more.
    ///
    /// Dropped before that, the watch ends all the same.
    pub(crate) async fn end(&self) -> Result<Ended, Error> {
        if self.process != std::process::id() {
            return Err(Error::watch_lost_to_fork());
        }
        engine::unwatch(self.id).await
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            engine::forget(self.id);
        }
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Section").field(&self.id.0).finish()
    }
}
