//! The handle of a prioritized section, for its caller.

use std::fmt;

use tokio::sync::oneshot;

use super::options::{SectionOptions, SectionResult};
use super::poll;
use super::report::PrioritizeReport;
use super::sections::Sections;
use crate::background::{self, OwnerProcess};
use crate::engine::SectionId;
use crate::error::Error;

/// A section that is watched. Dropping it ends the watch, without waiting for a poll that is under way.
pub(crate) struct SectionHandle {
    id: SectionId,
    process: OwnerProcess,
}

impl SectionHandle {
    /// Begins the watch, and fails if the watcher cannot see the session.
    ///
    /// Dropping the future ends the watch.
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

    /// The report so far.
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

    /// Ends the watch. After that, no session is signaled for this section.
    ///
    /// If the future is dropped, the watch ends all the same.
    pub(crate) async fn end(&self) -> Result<SectionResult, Error> {
        if !self.process.is_current() {
            return Err(Error::watch_lost_to_fork());
        }
        let id = self.id;
        let ended = background::ask(move || {
            // At once, so that the next poll leaves this section out.
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

/// The watcher's answer. There is none if pglock's thread has ended, and nothing is watched then.
async fn answer<T>(answer: oneshot::Receiver<T>) -> Result<T, Error> {
    answer.await.map_err(|_| Error::watch_lost())
}

impl Drop for SectionHandle {
    fn drop(&mut self) {
        let id = self.id;
        if self.process.is_current() {
            // If the thread cannot be started, nothing is watched.
            let _ = background::run(move || drop(Sections::here().end(id)));
        }
    }
}

impl fmt::Debug for SectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SectionHandle").field(&self.id).finish()
    }
}
