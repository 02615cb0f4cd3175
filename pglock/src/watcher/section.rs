//! A prioritized section, as its caller sees it.

use std::fmt;

use tokio::sync::oneshot;

use super::options::{SectionOptions, SectionResult};
use super::poll;
use super::report::PrioritizeReport;
use super::sections::Sections;
use crate::background::{self, OwnerProcess};
use crate::engine::SectionId;
use crate::error::Error;

/// A section that is watched; dropping it ends the watch without waiting for a look that is under way.
pub(crate) struct SectionHandle {
    id: SectionId,
    process: OwnerProcess,
}

impl SectionHandle {
    /// Begins the watch; an error when the watcher can't see the session.
    ///
    /// Dropped before that is known, nothing is watched any more.
    pub(crate) async fn begin(options: SectionOptions) -> Result<Self, Error> {
        let section = Self {
            id: SectionId::next(),
            process: OwnerProcess::current(),
        };
        let id = section.id;
        answer(background::ask(move || poll::begin(id, options))?).await??;
        Ok(section)
    }

    pub(crate) fn id(&self) -> SectionId {
        self.id
    }

    /// What has been done until now.
    pub(crate) async fn report(&self) -> Result<PrioritizeReport, Error> {
        let id = self.id;
        let report = background::ask(move || async move {
            match Sections::here().get(id) {
                Some(section) => Some(section.report().await),
                None => None,
            }
        })?;
        answer(report).await?.ok_or_else(Error::watch_lost)
    }

    /// Ends the watch: afterwards nobody is hit for this section any more.
    ///
    /// Dropped before that, the watch ends all the same.
    pub(crate) async fn end(&self) -> Result<SectionResult, Error> {
        if !self.process.is_current() {
            return Err(Error::watch_lost_to_fork());
        }
        let id = self.id;
        let ended = background::ask(move || {
            // At once: what is looked at next is not for this section.
            let ended = Sections::here().end(id);
            async move {
                match ended {
                    Some(ended) => Some(ended.await),
                    None => None,
                }
            }
        })?;
        answer(ended).await?.ok_or_else(Error::watch_lost)
    }
}

/// What the watcher answers; a thread that has ended watches nothing.
async fn answer<T>(answer: oneshot::Receiver<T>) -> Result<T, Error> {
    answer.await.map_err(|_| Error::watch_lost())
}

impl Drop for SectionHandle {
    fn drop(&mut self) {
        let id = self.id;
        if self.process.is_current() {
            // A thread that can't be started watches nothing.
            let _ = background::run(move || drop(Sections::here().end(id)));
        }
    }
}

impl fmt::Debug for SectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SectionHandle").field(&self.id).finish()
    }
}
