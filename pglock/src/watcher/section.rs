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
    /// The thread that watches it, the only one that knows it.
    thread: background::Handle,
    process: OwnerProcess,
}

impl SectionHandle {
    /// Begins the watch, and fails if the watcher cannot see the session.
    ///
    /// Dropping the future ends the watch.
    pub(crate) async fn begin(options: SectionOptions) -> Result<Self, Error> {
        let section = Self {
            id: SectionId::next(),
            thread: background::start()?,
            process: OwnerProcess::current(),
        };
        let id = section.id;
        answer(section.thread.ask(move || poll::begin(id, options))).await??;
        Ok(section)
    }

    pub(crate) fn id(&self) -> SectionId {
        self.id
    }

    /// The report so far.
    pub(crate) async fn report(&self) -> Result<PrioritizeReport, Error> {
        self.check_process()?;
        let id = self.id;
        let report = self.thread.ask(move || async move {
            match Sections::here().get(id) {
                Some(section) => Some(section.report().await),
                None => None,
            }
        });
        answer(report).await?.ok_or_else(Error::watch_lost)
    }

    /// Ends the watch. After that, no session is signaled for this section.
    ///
    /// If the future is dropped, the watch ends all the same.
    pub(crate) async fn end(&self) -> Result<SectionResult, Error> {
        self.check_process()?;
        let id = self.id;
        let ended = self.thread.ask(move || {
            // At once, so that the next poll leaves this section out.
            let ended = Sections::here().end(id);
            async move {
                match ended {
                    Some(ended) => Some(ended.await),
                    None => None,
                }
            }
        });
        answer(ended).await?.ok_or_else(Error::watch_lost)
    }

    /// An error in a forked child, where the section is only a copy.
    fn check_process(&self) -> Result<(), Error> {
        if self.process.is_current() {
            return Ok(());
        }
        Err(Error::watch_lost_to_fork())
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
            // If the thread has ended, nothing is watched.
            self.thread.run(move || drop(Sections::here().end(id)));
        }
    }
}

impl fmt::Debug for SectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SectionHandle").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use pglock_tests::{BOUND, Child, child, wait_until};

    use super::*;
    use crate::background::block_on;

    /// In a process of its own, since other tests use the thread too.
    #[test]
    fn a_thread_that_has_ended_is_an_error_and_is_not_started_again() {
        if child::role().is_none() {
            let test = "watcher::section::tests::a_thread_that_has_ended_is_an_error_and_is_not_started_again";
            Child::of(test, "ends").start().finish(BOUND);
            return;
        }
        let section = SectionHandle {
            id: SectionId::next(),
            thread: background::start().unwrap(),
            process: OwnerProcess::current(),
        };
        section.thread.run(|| panic!("a test asked for it"));
        wait_until("it has ended", BOUND, || background::running().is_none());
        assert!(block_on(section.report()).unwrap_err().is_connect());
        assert!(block_on(section.end()).is_err_and(|error| error.is_connect()));
        drop(section);
        assert!(background::running().is_none());
    }
}
