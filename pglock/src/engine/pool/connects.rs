//! Who waits for a session, and the connects that are under way.
//!
//! A few connects run at a time. A session that is opened or given back goes to the caller that has waited longest. A
//! connect that fails is the failure of all who waited for most of it, at once: one after the other, the last of many
//! callers would hear of an unreachable server after hours.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{AT_A_TIME, Lease, Pool};
use crate::engine::session::{NoSession, Session};
use crate::error::Failure;
use crate::model::options::Scope;

/// How long a failure is passed on to callers that waited for the connect behind others, and ask one after the other.
const PASSED_ON: Duration = Duration::from_millis(200);

/// A caller's wish for a session.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    /// When the caller came.
    pub(super) since: Instant,
    pub(super) bound: Bound,
}

impl Wanted {
    /// Of a caller that came just now, and may exceed the bound.
    pub(super) fn now(scope: Scope) -> Self {
        Self {
            scope,
            since: Instant::now(),
            bound: Bound::Exceeded,
        }
    }
}

/// Whether a caller keeps to the bound on sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// It waits until there is room, until that time at most.
    Kept { until: Option<Instant> },
    /// It does not: it would wait for itself, or is there for those who use the sessions.
    Exceeded,
}

/// A session for a caller.
pub(in crate::engine) struct Supplied {
    pub(in crate::engine) lease: Lease,
    /// For how long the bound on sessions kept the caller waiting.
    pub(in crate::engine) held_up: Duration,
}

#[derive(Default)]
pub(super) struct Connects {
    /// Those that exceed the bound first, each part in the order of arrival.
    waiting: RefCell<VecDeque<SessionWaiter>>,
    under_way: UnderWay,
    failed: RefCell<Option<FailedConnect>>,
}

struct SessionWaiter {
    wanted: Wanted,
    began: Instant,
    /// Whether the bound on sessions has kept it waiting.
    held_up: bool,
    reply: oneshot::Sender<Result<Supplied, NoSession>>,
}

impl SessionWaiter {
    fn time_is_over(&self) -> bool {
        matches!(self.wanted.bound, Bound::Kept { until: Some(until) } if until <= Instant::now())
    }
}

/// How many connects are under way.
#[derive(Default)]
struct UnderWay {
    session: Cell<usize>,
    transaction: Cell<usize>,
}

impl UnderWay {
    fn of(&self, scope: Scope) -> &Cell<usize> {
        match scope {
            Scope::Session => &self.session,
            Scope::Transaction => &self.transaction,
        }
    }

    fn all(&self) -> usize {
        self.session.get() + self.transaction.get()
    }
}

/// A connect that failed a moment ago.
struct FailedConnect {
    why: NoSession,
    scope: Scope,
    /// Those who had come by then waited for most of it.
    shared_by: Instant,
    last_told: Instant,
}

impl FailedConnect {
    fn is_shared_by(&self, wanted: Wanted) -> bool {
        // A server that cannot be reached has no session of either scope.
        let concerns_both = matches!(self.why, NoSession::Failed(_) | NoSession::Timeout(_));
        wanted.since <= self.shared_by && (concerns_both || wanted.scope == self.scope)
    }
}

impl Connects {
    fn push(&self, new: SessionWaiter) {
        let mut waiting = self.waiting.borrow_mut();
        let at = match new.wanted.bound {
            Bound::Kept { .. } => None,
            Bound::Exceeded => waiting
                .iter()
                .position(|it| it.wanted.bound != Bound::Exceeded),
        };
        let at = at.unwrap_or(waiting.len());
        waiting.insert(at, new);
    }

    /// The caller that gets the next session of this scope. `beyond_bound`: of those that may exceed the bound.
    fn take_next(&self, scope: Scope, beyond_bound: bool) -> Option<SessionWaiter> {
        let mut waiting = self.waiting.borrow_mut();
        let next = waiting.iter().position(|it| {
            it.wanted.scope == scope
                && !it.reply.is_closed()
                && (!beyond_bound || it.wanted.bound == Bound::Exceeded)
        })?;
        waiting.remove(next)
    }

    /// Whether the caller that has waited longest waits for room, for a session of the other scope.
    pub(super) fn is_other_scope_next(&self, scope: Scope) -> bool {
        let waiting = self.waiting.borrow();
        let first = waiting.iter().find(|it| !it.reply.is_closed());
        first.is_some_and(|it| {
            let other = it.wanted.scope;
            it.held_up && other != scope && self.under_way.of(other).get() == 0
        })
    }

    /// The failure of a connect for which the caller has waited behind others.
    fn passed_on_to(&self, wanted: Wanted) -> Option<NoSession> {
        let mut failed = self.failed.borrow_mut();
        let failed = failed
            .as_mut()
            .filter(|it| it.last_told.elapsed() < PASSED_ON && it.is_shared_by(wanted))?;
        failed.last_told = Instant::now();
        Some(failed.why.clone())
    }
}

impl Pool {
    /// An idle session, or the next one that is opened or given back.
    pub(super) async fn supply(self: &Rc<Self>, wanted: Wanted) -> Result<Supplied, NoSession> {
        match self.idle(wanted.scope) {
            Some(lease) => Ok(Supplied {
                lease,
                held_up: Duration::ZERO,
            }),
            None => self.supply_next(wanted).await,
        }
    }

    /// The next session that is opened or given back.
    pub(super) async fn supply_next(
        self: &Rc<Self>,
        wanted: Wanted,
    ) -> Result<Supplied, NoSession> {
        let has_room = self.has_room_for(wanted);
        if has_room && let Some(why) = self.connects.passed_on_to(wanted) {
            return Err(why);
        }
        let (reply, mut supplied) = oneshot::channel();
        self.connects.push(SessionWaiter {
            wanted,
            began: Instant::now(),
            held_up: !has_room,
            reply,
        });
        // What can be done for those who came before has been done.
        if has_room && self.connects.under_way.all() < AT_A_TIME {
            self.begin_connect(wanted.scope);
        }
        let answer = match wanted.bound {
            Bound::Kept { until: Some(until) } => tokio::select! {
                biased;
                answer = &mut supplied => answer,
                () = tokio::time::sleep_until(until.into()) => {
                    self.review_waiting();
                    supplied.await
                }
            },
            Bound::Kept { until: None } | Bound::Exceeded => supplied.await,
        };
        let thread_ended = || NoSession::Failed(Failure::local("pglock's thread ended", true));
        answer.unwrap_or_else(|_| Err(thread_ended()))
    }

    /// Begins connects for those who wait, as far as may be, and refuses those whom the bound has kept for too long.
    pub(super) fn review_waiting(self: &Rc<Self>) {
        let waiting = mem::take(&mut *self.connects.waiting.borrow_mut());
        let under_way = &self.connects.under_way;
        let coming = |scope| Cell::new(under_way.of(scope).get());
        let coming = UnderWay {
            session: coming(Scope::Session),
            transaction: coming(Scope::Transaction),
        };
        let mut is_full = false;
        let mut still_waiting = VecDeque::with_capacity(waiting.len());
        for mut it in waiting {
            if it.reply.is_closed() {
                continue;
            }
            let coming = coming.of(it.wanted.scope);
            is_full = is_full || (coming.get() == 0 && !self.has_room_for(it.wanted));
            if coming.get() > 0 {
                coming.set(coming.get() - 1);
            } else if !is_full {
                if under_way.all() < AT_A_TIME {
                    self.begin_connect(it.wanted.scope);
                }
            } else if it.time_is_over() {
                let sessions = self.database().max_sessions().unwrap_or_default();
                let _ = it.reply.send(Err(NoSession::AllInUse { sessions }));
                continue;
            } else {
                it.held_up = true;
            }
            still_waiting.push_back(it);
        }
        self.connects.waiting.replace(still_waiting);
    }

    /// Whether the bound on sessions lets this caller have one more. An idle session, which is of the other scope, is closed
    /// for it.
    fn has_room_for(&self, wanted: Wanted) -> bool {
        match (self.database().max_sessions(), wanted.bound) {
            (Some(bound), Bound::Kept { .. }) => {
                let has_room = || self.sessions_in_use() + self.connects.under_way.all() < bound;
                has_room() || (self.close_oldest_idle() && has_room())
            }
            (None, _) | (_, Bound::Exceeded) => true,
        }
    }

    fn begin_connect(self: &Rc<Self>, scope: Scope) {
        let under_way = self.connects.under_way.of(scope);
        under_way.set(under_way.get() + 1);
        tokio::task::spawn_local(Rc::clone(self).connect(scope));
    }

    async fn connect(self: Rc<Self>, scope: Scope) {
        let began = Instant::now();
        let opened = Session::connect(self.database(), scope).await;
        let under_way = self.connects.under_way.of(scope);
        under_way.set(under_way.get() - 1);
        match opened {
            Ok(session) => {
                self.register(&session);
                self.offer(session, false, began);
            }
            Err(why) => self.tell(FailedConnect {
                why,
                scope,
                shared_by: began + began.elapsed() / 2,
                last_told: Instant::now(),
            }),
        }
        self.review_waiting();
    }

    /// Tells a failure to all that share it. Those that wait for a session which is in use do not.
    fn tell(&self, failed: FailedConnect) {
        let waiting = mem::take(&mut *self.connects.waiting.borrow_mut());
        let in_use = self.sessions_in_use();
        let bound = self.database().max_sessions().filter(|_| in_use > 0);
        let mut room = bound.map_or(usize::MAX, |bound| bound.saturating_sub(in_use));
        let mut still_waiting = VecDeque::new();
        for it in waiting {
            let waits_for_connect = it.wanted.bound == Bound::Exceeded || room > 0;
            if waits_for_connect && it.wanted.bound != Bound::Exceeded {
                room -= 1;
            }
            if waits_for_connect && failed.is_shared_by(it.wanted) {
                // A caller that went away has no use for it.
                let _ = it.reply.send(Err(failed.why.clone()));
            } else {
                still_waiting.push_back(it);
            }
        }
        self.connects.waiting.replace(still_waiting);
        self.connects.failed.replace(Some(failed));
    }

    /// Gives a session to the caller that is next, or keeps it idle. `since` is when it was free, or on its way.
    ///
    /// Beyond the bound it is closed, or calls inside calls would raise the bound for all. It is closed as well if the next
    /// caller has been kept waiting for room for a session of the other scope.
    pub(super) fn offer(self: &Rc<Self>, session: Rc<Session>, was_idle: bool, since: Instant) {
        let scope = session.scope();
        let bound = self.database().max_sessions();
        let beyond_bound = bound.is_some_and(|bound| self.sessions_in_use() > bound);
        if !beyond_bound && self.connects.is_other_scope_next(scope) {
            self.close(session);
        } else if let Some(next) = self.connects.take_next(scope, beyond_bound) {
            let waited = since.saturating_duration_since(next.began);
            let held_up = if next.held_up { waited } else { Duration::ZERO };
            let lease = Lease::new(self, session, was_idle);
            // A caller that goes away from now on drops the lease, and so offers the session to the next one.
            let _ = next.reply.send(Ok(Supplied { lease, held_up }));
        } else if beyond_bound {
            self.close(session);
        } else {
            self.keep_idle(session);
        }
    }
}
