//! The timeouts of callers, kept in the process: an answer in time depends on no statement.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Arbiter;
use crate::engine::ledger::{HeldBy, RequestId};
use crate::engine::request::Request;
use crate::model::options::WaitPolicy;
use crate::telemetry::WaitReport;

/// How soon a request is looked at again whose time is over while the server has not said whether the lock is busy.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long before the end of its wait it is asked for a caller who has the lock.
const LOOK_UP_BEFORE: Duration = Duration::from_millis(200);

/// How late the server may be with the end of a wait that it times itself.
const SERVER_IS_LATE: Duration = Duration::from_millis(20);

/// When the wait of a caller ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    Never,
    At(Instant),
    /// Its session is being opened, which does not count; so much is left.
    Paused(Duration),
}

impl Deadline {
    /// The time that is left, where it is limited.
    pub(super) fn left(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at.saturating_duration_since(Instant::now())),
            Self::Paused(left) => Some(left),
        }
    }

    pub(super) fn of(request: &Request) -> Self {
        match request.wait {
            WaitPolicy::Block | WaitPolicy::NoWait => Self::Never,
            WaitPolicy::Millis(millis) => {
                Self::At(request.asked + Duration::from_millis(u64::from(millis.unsigned_abs())))
            }
        }
    }
}

/// What there is to do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// To ask who has the lock, so that it is known when the time is over.
    LookUp(RequestId),
    /// To report that the caller waits still.
    Report(RequestId),
    /// The caller's time is over.
    Over(RequestId),
}

/// A request for which a session is opened.
pub(super) struct Paused {
    pub(super) asked: Instant,
    /// The time that it has left, where that is limited.
    pub(super) left: Option<Duration>,
    pub(super) is_nested: bool,
}

#[derive(Default)]
pub(super) struct Deadlines {
    shared: Rc<Shared>,
    task: RefCell<Option<AbortHandle>>,
}

#[derive(Default)]
struct Shared {
    due: RefCell<BTreeSet<(Instant, Alarm)>>,
    /// When the task looks next. It may be earlier than the next deadline: most calls are answered before theirs.
    looks_at: Cell<Option<Instant>>,
    earlier: Notify,
}

impl Deadlines {
    pub(super) fn add(&self, arbiter: &Rc<Arbiter>, at: Instant, request: RequestId) {
        self.set(arbiter, at, Alarm::Over(request));
    }

    fn set(&self, arbiter: &Rc<Arbiter>, at: Instant, alarm: Alarm) {
        self.shared.due.borrow_mut().insert((at, alarm));
        if self.shared.looks_at.get().is_none_or(|looks| at < looks) {
            self.shared.looks_at.set(Some(at));
            self.shared.earlier.notify_one();
        }
        self.task.borrow_mut().get_or_insert_with(|| {
            let watch = watch(Rc::clone(&self.shared), Rc::downgrade(arbiter));
            tokio::task::spawn_local(watch).abort_handle()
        });
    }

    pub(super) fn remove(&self, deadline: &Deadline, request: RequestId) {
        if let Deadline::At(at) = *deadline {
            self.unset(Some(at), Alarm::Over(request));
        }
    }

    pub(super) fn remove_look_up(&self, at: Option<Instant>, request: RequestId) {
        self.unset(at, Alarm::LookUp(request));
    }

    pub(super) fn remove_report(&self, at: Option<Instant>, request: RequestId) {
        self.unset(at, Alarm::Report(request));
    }

    fn unset(&self, at: Option<Instant>, alarm: Alarm) {
        if let Some(at) = at {
            self.shared.due.borrow_mut().remove(&(at, alarm));
        }
    }

    fn take_due(&self, now: Instant) -> Vec<Alarm> {
        let mut due = self.shared.due.borrow_mut();
        let mut over = Vec::new();
        while let Some((at, alarm)) = due.first().copied()
            && at <= now
        {
            due.pop_first();
            over.push(alarm);
        }
        over
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn watch(shared: Rc<Shared>, arbiter: Weak<Arbiter>) {
    loop {
        let next = shared.due.borrow().first().map(|(at, _)| *at);
        shared.looks_at.set(next);
        let Some(at) = next else {
            shared.earlier.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {}
            () = shared.earlier.notified() => continue,
        }
        let Some(arbiter) = arbiter.upgrade() else {
            return;
        };
        arbiter.expire(Instant::now());
    }
}

impl Arbiter {
    /// Answers those whose time is over.
    fn expire(self: &Rc<Self>, now: Instant) {
        let mut busy = Vec::new();
        for alarm in self.deadlines.take_due(now) {
            let request = match alarm {
                Alarm::Over(request) => request,
                Alarm::LookUp(request) => {
                    self.look_up_early(request);
                    continue;
                }
                Alarm::Report(request) => {
                    self.report_wait(request);
                    continue;
                }
            };
            let mut book = self.book.borrow_mut();
            let held_by = self.register().ledger.waits_for(request);
            match held_by {
                None => {}
                // That it is busy must not be said of a lock of which nothing is known. The server's answer is under
                // way, or the end of the session that it was asked on.
                Some(HeldBy::Unknown) => {
                    let at = now + LOOK_AGAIN;
                    if let Some(waiting) = book.waiting.get_mut(&request) {
                        waiting.deadline = Deadline::At(at);
                        self.deadlines.add(self, at, request);
                    }
                }
                Some(HeldBy::Ourselves | HeldBy::Elsewhere) => {
                    self.register().ledger.withdraw(request);
                    drop(book);
                    busy.extend(self.take(request));
                }
            }
        }
        self.settle(None);
        self.tell_busy(busy);
    }

    /// Arranges for a look-up shortly before the end of a wait.
    pub(super) fn plan_look_up(self: &Rc<Self>, request: RequestId, at: Instant) -> Instant {
        let left = at.saturating_duration_since(Instant::now());
        let at = Instant::now() + (left / 2).max(left.saturating_sub(LOOK_UP_BEFORE));
        self.deadlines.set(self, at, Alarm::LookUp(request));
        at
    }

    /// Arranges for a report if the wait lasts, and says when.
    pub(super) fn plan_report(
        self: &Rc<Self>,
        id: RequestId,
        request: &Request,
    ) -> Option<Instant> {
        request.wait_report.as_ref()?;
        let next = WaitReport::next_after(request.asked.elapsed());
        if request.does_not_wait() || request.wait.bound().is_some_and(|bound| bound <= next) {
            return None;
        }
        let at = request.asked + next;
        self.deadlines.set(self, at, Alarm::Report(id));
        Some(at)
    }

    /// There is a session now for those whose time did not run yet.
    pub(super) fn start_deadlines(self: &Rc<Self>) {
        let mut book = self.book.borrow_mut();
        let requests = std::mem::take(&mut book.without_session);
        for request in requests {
            if let Some(waiting) = book.waiting.get_mut(&request)
                && let Some(bound) = waiting.request.wait.bound()
            {
                let at = Instant::now() + bound;
                waiting.deadline = Deadline::At(at);
                self.deadlines.add(self, at, request);
                if waiting.request.describe_holder {
                    waiting.look_up = Some(self.plan_look_up(request, at));
                }
            }
        }
    }

    /// A session is opened for a request, which does not count.
    pub(super) fn pause_deadline(&self, request: RequestId) -> Paused {
        let mut book = self.book.borrow_mut();
        let Some(waiting) = book.waiting.get_mut(&request) else {
            return Paused {
                asked: Instant::now(),
                left: Some(Duration::ZERO),
                is_nested: false,
            };
        };
        if let Deadline::At(at) = waiting.deadline {
            self.deadlines.remove(&waiting.deadline, request);
            let left = at.saturating_duration_since(Instant::now());
            waiting.deadline = Deadline::Paused(left);
        }
        let tries = waiting.request.does_not_wait();
        Paused {
            asked: waiting.request.asked,
            left: waiting.deadline.left().or(tries.then_some(Duration::ZERO)),
            is_nested: waiting.request.is_nested,
        }
    }

    /// A request was kept waiting for a session by the bound on their number, which counts.
    pub(super) fn shorten_deadline(&self, request: RequestId, by: Duration) {
        if let Some(waiting) = self.book.borrow_mut().waiting.get_mut(&request)
            && let Deadline::Paused(left) = waiting.deadline
        {
            waiting.deadline = Deadline::Paused(left.saturating_sub(by));
        }
    }

    /// The statement of a request has the time that is left, which is returned. It is left to the server to end its wait,
    /// which needs no cancel, and only if it doesn't it is ended here.
    pub(super) fn leave_to_server(
        self: &Rc<Self>,
        request: RequestId,
        is_first: bool,
    ) -> Option<Duration> {
        let mut book = self.book.borrow_mut();
        let waiting = book.waiting.get_mut(&request)?;
        let left = waiting.deadline.left()?;
        if !is_first {
            return Some(left.saturating_sub(SERVER_IS_LATE));
        }
        self.deadlines.remove(&waiting.deadline, request);
        let at = Instant::now() + left + SERVER_IS_LATE;
        waiting.deadline = Deadline::At(at);
        self.deadlines.add(self, at, request);
        Some(left)
    }
}
