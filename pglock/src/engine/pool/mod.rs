//! The sessions to one database. Idle ones are reused; a broken one is closed.

mod connects;
mod helper;
mod ping;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};

use super::ids::SessionState;
use super::session::{NoSession, Session};
use crate::database::Database;
use crate::error::{Error, Holder};
use crate::model::backend::Backend;
use crate::model::options::Scope;
use crate::telemetry::SessionRole;
use connects::{Bound, Connects, Supplied, Wanted};
use helper::Helper;

/// As many idle sessions of each scope are kept for longer. Counted by scope: idle sessions for session locks would
/// otherwise keep each `xact` lock, and each look-up, from finding one that it can use again.
const FEW: usize = 8;

/// How long all others are kept at most. The last one that was used is used first, so as many stay as were busy in this time: with
/// fewer, a program that holds many locks for moments would connect for nearly each of them.
const ALL_FOR: Duration = Duration::from_secs(10);

/// A session that was idle and fails this soon had died before it was used.
pub(super) const DIED_WHILE_IDLE: Duration = Duration::from_millis(100);

/// How many connections a pool opens at a time, for sessions, and as many for cancel requests.
const AT_A_TIME: usize = 4;

pub(crate) struct Pool {
    database: Database,
    idle: RefCell<Vec<Idle>>,
    sessions: RefCell<Vec<Weak<Session>>>,
    connects: Connects,
    helper: Helper,
    /// How many leases are for what is done beside the locks.
    leased_beside: Cell<usize>,
    pub(super) cancel_requests: Semaphore,
    opened: mpsc::UnboundedSender<Weak<Session>>,
}

/// The sessions of a pool as they are opened.
pub(super) type Opened = mpsc::UnboundedReceiver<Weak<Session>>;

struct Idle {
    session: Rc<Session>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(database: Database) -> (Rc<Self>, Opened) {
        let (opened, receiver) = mpsc::unbounded_channel();
        let pool = Rc::new(Self {
            database,
            idle: RefCell::default(),
            sessions: RefCell::default(),
            connects: Connects::default(),
            helper: Helper::default(),
            leased_beside: Cell::default(),
            cancel_requests: Semaphore::new(AT_A_TIME),
            opened,
        });
        (pool, receiver)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The backends of all open sessions.
    pub(super) fn backends(&self) -> Vec<Backend> {
        let sessions = self.sessions.borrow();
        let sessions = sessions.iter().filter_map(Weak::upgrade);
        sessions.map(|session| session.backend()).collect()
    }

    /// Marks a holder that is one of this pool's sessions.
    pub(super) fn recognize(&self, mut holder: Box<Holder>) -> Box<Holder> {
        let sessions = self.sessions.borrow();
        let mut ours = sessions.iter().filter_map(Weak::upgrade);
        holder.this_process = ours.any(|session| session.backend().pid == holder.pid);
        holder
    }

    /// When any of this pool's sessions last got an answer.
    pub(super) fn last_answer(&self) -> Option<Instant> {
        let sessions = self.sessions.borrow();
        let sessions = sessions.iter().filter_map(Weak::upgrade);
        sessions.map(|session| session.answered_at()).max()
    }

    /// An idle session, or a new one, for one lock, and for how long `max_sessions` kept the caller waiting, who came at
    /// `since`, waits until `until`, and may be one inside a call.
    pub(super) async fn session_for_one(
        self: &Rc<Self>,
        scope: Scope,
        since: Instant,
        until: Option<Instant>,
        is_nested: bool,
    ) -> Result<Supplied, NoSession> {
        let bound = if is_nested {
            // The sessions may all be in use by calls that wait for the enclosing ones.
            Bound::Exceeded
        } else {
            Bound::Kept { until }
        };
        self.supply(Wanted {
            scope,
            since,
            bound,
        })
        .await
    }

    /// A new session for one lock in place of one that was dead.
    pub(super) async fn replacement(self: &Rc<Self>, scope: Scope) -> Result<Lease, NoSession> {
        Ok(self.supply_next(Wanted::now(scope)).await?.lease)
    }

    /// An idle session, or a new one, for many locks, or for the waits of many callers. It does not count as one of
    /// `max_sessions`.
    pub(super) async fn session_for_many(self: &Rc<Self>) -> Result<Lease, NoSession> {
        let supplied = self.supply(Wanted::now(Scope::Session)).await?;
        Ok(self.beside(supplied))
    }

    /// An idle session, or a new one, for what is done beside the locks. It does not count as one of `max_sessions`.
    pub(crate) async fn session(
        self: &Rc<Self>,
        scope: Scope,
        opened_for: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let supplied = self.supply(Wanted::now(scope)).await;
        self.beside_locks(supplied, opened_for)
    }

    /// Like [`session`](Pool::session), in place of one that was dead.
    pub(crate) async fn new_session(
        self: &Rc<Self>,
        scope: Scope,
        opened_for: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let supplied = self.supply_next(Wanted::now(scope)).await;
        self.beside_locks(supplied, opened_for)
    }

    fn beside_locks(
        &self,
        supplied: Result<Supplied, NoSession>,
        opened_for: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let supplied = supplied.map_err(|why| why.explain(opened_for, &self.database.place()))?;
        Ok(self.beside(supplied))
    }

    fn beside(&self, supplied: Supplied) -> Lease {
        let mut lease = supplied.lease;
        lease.is_beside = true;
        lease.session.is_for(SessionRole::Helper);
        self.leased_beside.set(self.leased_beside.get() + 1);
        lease
    }

    /// A session that becomes the helper session, whose failure is told in no lock's words.
    async fn open_helper(self: &Rc<Self>, since: Instant) -> Result<Lease, NoSession> {
        let wanted = Wanted {
            since,
            ..Wanted::now(Scope::Transaction)
        };
        Ok(self.supply_next(wanted).await?.lease)
    }

    pub(super) fn idle(self: &Rc<Self>, scope: Scope) -> Option<Lease> {
        let session = self.take_idle(scope)?;
        Some(Lease::new(self, session, true))
    }

    fn register(&self, session: &Rc<Session>) {
        self.sessions.borrow_mut().push(Rc::downgrade(session));
        // The heartbeat's task may be gone if the thread is about to end.
        let _ = self.opened.send(Rc::downgrade(session));
    }

    /// How many sessions count as those of `max_sessions`.
    fn sessions_in_use(&self) -> usize {
        let sessions = self.sessions.borrow();
        let open = sessions
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|session| session.is_usable() && !self.helper.is(session));
        open.count().saturating_sub(self.leased_beside.get())
    }

    fn take_idle(&self, scope: Scope) -> Option<Rc<Session>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.session.is_usable());
        let latest = idle
            .iter()
            .rposition(|idle| idle.session.scope() == scope)?;
        Some(idle.remove(latest).session)
    }

    fn give_back(self: &Rc<Self>, session: Rc<Session>) {
        if self.helper.is(&session) {
            if session.is_usable() && self.keeps_helper() {
                return;
            }
            self.helper.take_unused();
        }
        if session.is_usable() {
            self.offer(session, true, Instant::now());
        } else {
            self.close(session);
        }
    }

    /// Forgets a session that nobody uses, which closes it, and makes use of the room.
    fn close(self: &Rc<Self>, session: Rc<Session>) {
        self.forget(&session);
        drop(session);
        self.review_waiting();
    }

    fn forget(&self, session: &Rc<Session>) {
        let closed = Rc::downgrade(session);
        self.sessions
            .borrow_mut()
            .retain(|open| !open.ptr_eq(&closed));
    }

    fn keep_idle(&self, session: Rc<Session>) {
        session.is_for(SessionRole::Idle);
        self.idle.borrow_mut().push(Idle {
            since: session.last_used(),
            session,
        });
    }

    fn close_oldest_idle(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return false;
        }
        let oldest = idle.remove(0).session;
        self.forget(&oldest);
        true
    }

    pub(super) fn close_idle(self: &Rc<Self>) {
        if !self.keeps_helper()
            && let Some(session) = self.helper.take_unused()
        {
            self.give_back(session);
        }
        let few_for = self.database.idle_timeout();
        let mut left = HashMap::<Scope, usize>::new();
        let mut idle = self.idle.borrow_mut();
        for it in idle.iter() {
            *left.entry(it.session.scope()).or_default() += 1;
        }
        // The first are those that were not used for the longest time.
        idle.retain(|it| {
            let left = left.entry(it.session.scope()).or_default();
            let time = if *left > FEW {
                ALL_FOR.min(few_for)
            } else {
                few_for
            };
            let is_kept = it.session.is_usable() && it.since.elapsed() < time;
            *left -= usize::from(!is_kept);
            is_kept
        });
        drop(idle);
        self.sessions
            .borrow_mut()
            .retain(|session| session.strong_count() > 0);
        // Sessions may have died meanwhile, which makes room.
        self.review_waiting();
    }

    /// Closes all idle sessions, and the helper session if nobody waits. The receivers see their end.
    pub(super) fn close_all_idle(
        self: &Rc<Self>,
        nobody_waits: bool,
    ) -> Vec<watch::Receiver<SessionState>> {
        let mut closed: Vec<Rc<Session>> = Vec::new();
        if nobody_waits {
            closed.extend(self.helper.take_unused());
        }
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        closed.extend(idle.into_iter().map(|idle| idle.session));
        for session in &closed {
            self.forget(session);
        }
        let ends = closed.iter().map(|session| session.state()).collect();
        drop(closed);
        self.review_waiting();
        ends
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.borrow().is_empty()
    }
}

/// A session in use. Dropping the last lease of a session returns it to the pool.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    session: Rc<Session>,
    /// Whether it was idle before, so that it may have died unnoticed.
    was_idle: bool,
    /// Whether it is not used for locks, and so does not count as one of `max_sessions`.
    is_beside: bool,
}

impl Lease {
    pub(super) fn new(pool: &Rc<Pool>, session: Rc<Session>, was_idle: bool) -> Self {
        session.leases().set(session.leases().get() + 1);
        Self {
            pool: Rc::clone(pool),
            session,
            was_idle,
            is_beside: false,
        }
    }

    /// Another lease of the same session.
    pub(super) fn again(&self) -> Self {
        Self::new(&self.pool, Rc::clone(&self.session), self.was_idle)
    }

    pub(crate) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(super) fn was_idle(&self) -> bool {
        self.was_idle
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let leases = self.session.leases();
        leases.set(leases.get() - 1);
        if self.is_beside {
            let leased_beside = &self.pool.leased_beside;
            leased_beside.set(leased_beside.get() - 1);
        }
        if leases.get() == 0 {
            self.pool.give_back(Rc::clone(&self.session));
        }
    }
}
