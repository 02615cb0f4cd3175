//! The prioritized sections: when each is polled, and what was signaled for it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify, OwnedMutexGuard};
use tokio::time::Instant;

use super::connection::Watcher;
use super::options::{SectionOptions, SectionResult};
use super::policy::Escalation;
use super::report::{Blocker, BlockerAction, PrioritizeReport};
use super::sql::Canceled;
use crate::background;
use crate::engine::pool::Pool;
use crate::engine::{SectionId, State};
use crate::error::Error;
use crate::model::backend::Backend;
use crate::telemetry::SignalReport;

/// How long the end of a section waits for a signal that is under way.
const SIGNAL_BOUND: Duration = Duration::from_secs(5);

/// How long the end of a section waits for a side effect of the user's that is running.
const SIDE_EFFECT_BOUND: Duration = Duration::from_secs(1);

/// All sections and their watchers.
#[derive(Default)]
pub(super) struct Sections {
    sections: RefCell<HashMap<SectionId, Rc<Section>>>,
    watchers: RefCell<Vec<Rc<Watcher>>>,
}

impl Sections {
    /// The sections that belong to pglock's thread. To be called there only.
    pub(super) fn here() -> Rc<Self> {
        background::service()
    }

    /// Adds a section.
    pub(super) fn begin(
        &self,
        id: SectionId,
        options: SectionOptions,
        pool: &Rc<Pool>,
    ) -> Rc<Section> {
        let section = Rc::new(Section::new(id, options, &self.watcher(pool)));
        self.sections.borrow_mut().insert(id, Rc::clone(&section));
        section
    }

    /// Removes a section. Only a signal that is under way is still sent for it; the future waits for that.
    pub(super) fn end(&self, id: SectionId) -> Option<impl Future<Output = SectionResult> + use<>> {
        let section = self.sections.borrow_mut().remove(&id)?;
        section.ended.set(true);
        section.watcher.sections_changed();
        Some(section.finish())
    }

    pub(super) fn get(&self, id: SectionId) -> Option<Rc<Section>> {
        self.sections.borrow().get(&id).cloned()
    }

    /// The sections of one watcher.
    pub(super) fn of(&self, watcher: &Rc<Watcher>) -> Vec<Rc<Section>> {
        let sections = self.sections.borrow();
        let of_it = sections
            .values()
            .filter(|section| Rc::ptr_eq(&section.watcher, watcher));
        of_it.cloned().collect()
    }

    /// The connections that are prioritized.
    pub(super) fn connections(&self) -> Vec<Backend> {
        let sections = self.sections.borrow();
        sections
            .values()
            .map(|section| section.options.backend)
            .collect()
    }

    /// Removes a watcher without sections. Otherwise it would keep its pool alive until the process ends.
    pub(super) fn forget_watcher(&self, watcher: &Rc<Watcher>) {
        self.watchers
            .borrow_mut()
            .retain(|known| !Rc::ptr_eq(known, watcher));
    }

    fn watcher(&self, pool: &Rc<Pool>) -> Rc<Watcher> {
        let mut watchers = self.watchers.borrow_mut();
        let found = watchers.iter().find(|watcher| watcher.is_of(pool));
        if let Some(watcher) = found {
            return Rc::clone(watcher);
        }
        let watcher = Rc::new(Watcher::new(pool));
        watchers.push(Rc::clone(&watcher));
        watcher
    }
}

/// Until it is dropped, the section cannot end, and neither can the wait on pglock's own session.
type SignalPermit<'s> = (MutexGuard<'s, ()>, Option<OwnedMutexGuard<()>>);

pub(super) struct Section {
    id: SectionId,
    options: SectionOptions,
    watcher: Rc<Watcher>,
    next_poll: Cell<Option<Instant>>,
    ended: Cell<bool>,
    /// Locked while a signal is sent for this section. Its end waits for that.
    signals: Mutex<()>,
    /// The sessions that `Escalate` has canceled, and when.
    canceled: RefCell<HashMap<Backend, Instant>>,
    report: RefCell<PrioritizeReport>,
    error: RefCell<Option<Error>>,
    side_effect_runs: Cell<bool>,
    side_effect_returned: Notify,
}

impl Section {
    fn new(id: SectionId, options: SectionOptions, watcher: &Rc<Watcher>) -> Self {
        Self {
            id,
            next_poll: Cell::new(Instant::now().checked_add(options.interval)),
            options,
            watcher: Rc::clone(watcher),
            ended: Cell::new(false),
            signals: Mutex::new(()),
            canceled: RefCell::default(),
            report: RefCell::default(),
            error: RefCell::default(),
            side_effect_runs: Cell::new(false),
            side_effect_returned: Notify::new(),
        }
    }

    pub(super) fn id(&self) -> SectionId {
        self.id
    }

    pub(super) fn options(&self) -> &SectionOptions {
        &self.options
    }

    pub(super) fn watcher(&self) -> &Rc<Watcher> {
        &self.watcher
    }

    /// The sessions whose waits count; the prioritized connection comes first.
    pub(super) fn backends(&self) -> Vec<Backend> {
        let mut backends = vec![self.options.backend];
        let waits = State::here().section_waits().of(self.id);
        backends.extend(waits.iter().map(|wait| wait.backend()));
        backends
    }

    pub(super) fn next_poll(&self) -> Option<Instant> {
        self.next_poll.get()
    }

    /// Schedules the next poll: after the interval, or when the grace time of a canceled session is over.
    pub(super) fn schedule_next(&self, poll_began: Instant) {
        let interval = self.options.periodic.then_some(self.options.interval);
        let regular = interval.and_then(|interval| Instant::now().checked_add(interval));
        let grace_over = self.grace_over(poll_began);
        self.next_poll
            .set(regular.into_iter().chain(grace_over).min());
    }

    /// When the next grace time is over that was still running when the poll began.
    fn grace_over(&self, poll_began: Instant) -> Option<Instant> {
        let policy = self.options.side_effect.signal_policy()?;
        let grace = policy.escalation.grace()?;
        let canceled = self.canceled.borrow();
        let over = canceled.values().filter_map(|at| at.checked_add(grace));
        over.filter(|over| *over > poll_began).min()
    }

    /// A permit to signal for a wait of this section, unless the wait or the section is over.
    pub(super) async fn begin_signal(&self, waiting: Backend) -> Option<SignalPermit<'_>> {
        let signals = self.signals.lock().await;
        if self.ended.get() {
            return None;
        }
        if waiting == self.options.backend {
            return Some((signals, None));
        }
        let waits = State::here().section_waits().of(self.id);
        let wait = waits.iter().find(|wait| wait.backend() == waiting)?;
        let wait = wait.begin_signal().await?;
        Some((signals, Some(wait)))
    }

    /// Forgets the canceled sessions that no longer block. If one blocks again, it gets a new grace time.
    pub(super) fn forget_canceled_except(&self, blockers: &HashSet<Backend>) {
        self.canceled
            .borrow_mut()
            .retain(|backend, _| blockers.contains(backend));
    }

    /// The sessions that were canceled before.
    pub(super) fn canceled_before(&self, escalation: Escalation) -> Vec<Canceled> {
        let Some(grace) = escalation.grace() else {
            return Vec::new();
        };
        let canceled = self.canceled.borrow();
        let before = canceled.iter().map(|(backend, at)| Canceled {
            backend: *backend,
            overdue: at.elapsed() >= grace,
        });
        before.collect()
    }

    /// Records what was done to a blocking session.
    pub(super) fn record(&self, escalation: Escalation, blocker: &Blocker) {
        let was_canceled = matches!(
            blocker.action,
            BlockerAction::Canceled | BlockerAction::WouldCancel
        );
        if was_canceled && escalation.grace().is_some() {
            let mut canceled = self.canceled.borrow_mut();
            canceled
                .entry(blocker.backend())
                .or_insert_with(Instant::now);
        }
        let is_new = self.report.borrow_mut().add(blocker.clone());
        blocker.emit(&self.options.context, is_new);
    }

    /// The report so far. It waits for a signal that is under way.
    pub(super) async fn report(&self) -> PrioritizeReport {
        let _permit = self.signals.lock().await;
        let mut report = self.report.borrow().clone();
        report.error.clone_from(&self.error.borrow());
        report
    }

    /// Records an error. Only the first is kept.
    pub(super) fn record_error(&self, error: Error) {
        self.error.borrow_mut().get_or_insert(error);
    }

    /// Whether the side effect may start: it does not run twice at a time.
    pub(super) fn begin_side_effect(&self) -> bool {
        !self.side_effect_runs.replace(true)
    }

    pub(super) fn end_side_effect(&self, result: Result<Vec<i32>, Error>) {
        match result {
            Ok(pids) => {
                for pid in self.report.borrow_mut().add_reported(pids) {
                    SignalReport::of(pid, "reported").emit(&self.options.context);
                }
            }
            Err(error) => self.record_error(error),
        }
        self.side_effect_runs.set(false);
        self.side_effect_returned.notify_one();
    }

    async fn finish(self: Rc<Self>) -> SectionResult {
        if tokio::time::timeout(SIGNAL_BOUND, self.signals.lock())
            .await
            .is_err()
        {
            self.record_error(Error::watch_timeout(SIGNAL_BOUND));
        }
        if self.side_effect_runs.get() {
            let returned = async {
                // A stored notification may be that of an earlier run.
                while self.side_effect_runs.get() {
                    self.side_effect_returned.notified().await;
                }
            };
            let in_time = tokio::time::timeout(SIDE_EFFECT_BOUND, returned).await;
            self.report.borrow_mut().side_effect_unfinished = in_time.is_err();
        }
        SectionResult {
            report: self.report.take(),
            error: self.error.take(),
        }
    }
}
