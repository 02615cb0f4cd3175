//! Polls the prioritized sections: one task and one session per database, however many sections there are.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::blocked::{Blocked, SectionWatcher};
use super::connection::Watcher;
use super::options::SectionOptions;
use super::policy::SignalPolicy;
use super::report::Blocker;
use super::sections::{Section, Sections};
use super::sql;
use crate::background::{self, block_on};
use crate::engine::{SectionId, State};
use crate::error::Error;
use crate::model::backend::Backend;
use crate::view::sql::LocksQuery;
use crate::view::{self, BlockedLock};

/// Begins to watch a section. The future checks that the watcher sees it. Otherwise a watcher that looks in the wrong
/// place, or cannot connect, would be noticed only when a session blocks the section, and would hide behind the body's
/// own error.
pub(super) fn begin(
    id: SectionId,
    options: SectionOptions,
) -> impl Future<Output = Result<(), Error>> {
    let pool = State::here().pool(&options.database);
    let section = Sections::here().begin(id, options, &pool);
    let watcher = Rc::clone(section.watcher());
    watcher.sections_changed();
    if watcher.start_running() {
        tokio::task::spawn_local(run(watcher));
    }
    async move {
        let sections = [section];
        let found = find_waiting(sections[0].watcher(), &sections).await?;
        std::iter::zip(&sections, found)
            .try_for_each(|(section, found)| found.waiting(section).map(drop))
    }
}

/// Polls the sections when they are due, as long as there are any.
async fn run(watcher: Rc<Watcher>) {
    loop {
        let sections = Sections::here().of(&watcher);
        if sections.is_empty() {
            watcher.give_back_idle();
            Sections::here().forget_watcher(&watcher);
            return;
        }
        let next = sections
            .iter()
            .filter_map(|section| section.next_poll())
            .min();
        drop(sections);
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => poll_all_due(&watcher).await,
            () = watcher.until_sections_change() => {}
        }
    }
}

async fn poll_all_due(watcher: &Rc<Watcher>) {
    let now = Instant::now();
    let mut due = Sections::here().of(watcher);
    due.retain(|section| section.next_poll().is_some_and(|at| at <= now));
    match find_waiting(watcher, &due).await {
        Ok(found) => {
            for (section, found) in due.iter().zip(found) {
                act(section, found).await;
                section.schedule_next(now);
            }
        }
        Err(error) => {
            for section in &due {
                section.record_error(error.clone());
                section.schedule_next(now);
            }
        }
    }
}

/// What a poll finds out about a section.
enum Observed {
    /// The server does not have its session.
    NotFound,
    /// Its session is in another database.
    OtherDatabase,
    /// The sessions of the section that may be waiting.
    Waiting(Vec<Backend>),
}

impl Observed {
    fn waiting(self, section: &Section) -> Result<Vec<Backend>, Error> {
        let SectionOptions {
            database, backend, ..
        } = section.options();
        match self {
            Self::NotFound => Err(Error::section_not_found(backend.pid, &database.place())),
            Self::OtherDatabase => Err(Error::section_elsewhere(backend.pid, &database.place())),
            Self::Waiting(waiting) => Ok(waiting),
        }
    }
}

async fn find_waiting(watcher: &Watcher, due: &[Rc<Section>]) -> Result<Vec<Observed>, Error> {
    let backends: Vec<Vec<Backend>> = due.iter().map(|section| section.backends()).collect();
    let statement = sql::waiting(&backends.concat());
    let rows = watcher.read(&statement).await?;
    let mut seen = sql::activities(&rows, backends.iter().map(Vec::len).sum()).into_iter();
    let found = backends.iter().map(|backends| {
        let seen: Vec<_> = seen.by_ref().take(backends.len()).collect();
        match seen.first() {
            None | Some(None) => Observed::NotFound,
            Some(Some(session)) if !session.is_here => Observed::OtherDatabase,
            Some(Some(_)) => Observed::Waiting(
                std::iter::zip(backends, seen)
                    .filter(|(_, seen)| seen.as_ref().is_some_and(|session| session.may_wait))
                    .map(|(backend, _)| *backend)
                    .collect(),
            ),
        }
    });
    Ok(found.collect())
}

async fn act(section: &Rc<Section>, found: Observed) {
    let waiting = match found.waiting(section) {
        Ok(waiting) if waiting.is_empty() => {
            return section.forget_canceled_except(&HashSet::new());
        }
        Ok(waiting) => waiting,
        Err(error) => return section.record_error(error),
    };
    match section.options().side_effect.signal_policy() {
        Some(policy) => {
            if let Err(error) = signal_all(section, &waiting, &policy).await {
                section.record_error(error);
            }
        }
        None => start_side_effect(section, waiting),
    }
}

/// Signals the sessions that block these; returns the pids of those that were signaled.
async fn signal_all(
    section: &Section,
    waiting: &[Backend],
    policy: &SignalPolicy,
) -> Result<Vec<i32>, Error> {
    let (mut signaled, mut blockers) = (Vec::new(), HashSet::new());
    for waiting in waiting {
        let checkout = section.watcher().checkout().await?;
        // Asked only now, since connecting may have taken long. The statement is not repeated if its answer is lost: it
        // would not be known which sessions the first one signaled.
        let Some(_permit) = section.begin_signal(*waiting).await else {
            continue;
        };
        let before = section.canceled_before(policy.escalation);
        let statement = sql::signal_blockers(*waiting, policy, &protected_backends(), &before);
        let rows = checkout.query(&statement).await?;
        for row in rows.iter() {
            if let Some(blocker) = Blocker::read(&row, policy.dry_run) {
                signaled.extend(blocker.was_signaled().then_some(blocker.pid));
                blockers.insert(blocker.backend());
                section.record(policy.escalation, &blocker);
            }
        }
    }
    section.forget_canceled_except(&blockers);
    signaled.sort_unstable();
    signaled.dedup();
    Ok(signaled)
}

/// The sessions that must never be signaled: pglock's own, and those of all sections.
fn protected_backends() -> Vec<Backend> {
    let mut backends = State::here().backends();
    backends.extend(Sections::here().connections());
    backends
}

/// Starts a side effect of the user's on a thread of its own, unless it is still running.
fn start_side_effect(section: &Rc<Section>, waiting: Vec<Backend>) {
    if !section.begin_side_effect() {
        return;
    }
    let section = Rc::clone(section);
    let watcher = WatcherClient {
        section: section.id(),
        thread: background::Handle::current(),
    };
    let side_effect = Arc::clone(&section.options().side_effect);
    tokio::task::spawn_local(async move {
        let work = move || side_effect.worker(&mut Blocked::new(&watcher, waiting));
        let result = match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(ended) => Err(Error::side_effect_panicked(ended)),
        };
        section.end_side_effect(result);
    });
}

/// The way from a side effect, on a thread of its own, to the watcher.
struct WatcherClient {
    section: SectionId,
    thread: background::Handle,
}

impl WatcherClient {
    fn ask<T, F>(
        &self,
        work: impl FnOnce(Option<Rc<Section>>) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + 'static,
    {
        let section = self.section;
        let answer = self.thread.ask(move || work(Sections::here().get(section)));
        block_on(answer).unwrap_or_else(|_| Err(Error::watch_lost()))
    }
}

impl SectionWatcher for WatcherClient {
    fn fetch(&self, query: LocksQuery) -> Result<Vec<BlockedLock>, Error> {
        self.ask(move |section| async move {
            // A section that has ended waits for nothing.
            let Some(section) = section else {
                return Ok(Vec::new());
            };
            let rows = section
                .watcher()
                .read(&view::sql::fetch(&query, true))
                .await?;
            Ok(view::read(&rows))
        })
    }

    fn signal(&self, waiting: Vec<Backend>, policy: SignalPolicy) -> Result<Vec<i32>, Error> {
        self.ask(move |section| async move {
            // No session is signaled for a section that has ended.
            let Some(section) = section else {
                return Ok(Vec::new());
            };
            signal_all(&section, &waiting, &policy).await
        })
    }
}
