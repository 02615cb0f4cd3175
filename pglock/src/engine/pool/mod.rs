//! The sessions to one database. Idle ones are reused; a broken one is closed.

mod helper;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use super::ids::{EnclosingLocks, SessionId};
use super::lock::DatabaseLock;
use super::queue::WaitQueues;
use super::session::{NoSession, Session};
use crate::database::Database;
use crate::error::{Error, Holder};
use crate::model::backend::Backend;
use crate::model::options::Scope;
use helper::Helper;

/// Idle sessions of one scope beyond this many are closed at once. Counted by scope: idle sessions for session locks
/// would otherwise keep each `xact` lock, and each look-up, from finding one that it can use again.
const MAX_IDLE: usize = 8;

/// Sessions that were idle for this long are closed.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// How many connections a pool opens at a time, for sessions, and as many for cancel requests.
const AT_A_TIME: usize = 4;

pub(crate) struct Pool {
    database: Database,
    idle: RefCell<Vec<Idle>>,
    sessions: RefCell<HashMap<SessionId, Weak<Session>>>,
    wait_queues: Rc<WaitQueues>,
    helper: Helper,
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
            wait_queues: Rc::default(),
            helper: Helper::default(),
            cancel_requests: Semaphore::new(AT_A_TIME),
            opened,
        });
        (pool, receiver)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn wait_queues(&self) -> &Rc<WaitQueues> {
        &self.wait_queues
    }

    /// The backends of all open sessions.
    pub(super) fn backends(&self) -> Vec<Backend> {
        let sessions = self.sessions.borrow();
        let sessions = sessions.values().filter_map(Weak::upgrade);
        sessions.map(|session| session.backend()).collect()
    }

    /// Marks a holder that is one of this pool's sessions.
    pub(super) fn recognize(&self, mut holder: Holder) -> Holder {
        let sessions = self.sessions.borrow();
        let mut ours = sessions.values().filter_map(Weak::upgrade);
        holder.this_process = ours.any(|session| session.backend().pid == holder.pid);
        holder
    }

    /// When any of this pool's sessions last got an answer.
    pub(super) fn last_answer(&self) -> Option<Instant> {
        let sessions = self.sessions.borrow();
        let sessions = sessions.values().filter_map(Weak::upgrade);
        sessions.map(|session| session.answered_at()).max()
    }

    /// How many locks this process holds in the database.
    pub(super) fn locks_held(&self) -> usize {
        let sessions = self.sessions.borrow();
        let sessions = sessions.values().filter_map(Weak::upgrade);
        sessions.map(|session| session.held_locks().len()).sum()
    }

    /// The session of the enclosing calls, if this lock can be acquired on it.
    ///
    /// It cannot if the session also holds a lock of a sibling call or of a guard, whose release would queue behind
    /// this wait; nor if it holds the same key, which Postgres would grant again at once.
    pub(super) fn enclosing_session(
        self: &Rc<Self>,
        lock: &DatabaseLock,
        enclosing: Option<&EnclosingLocks>,
    ) -> Option<Lease> {
        let enclosing = enclosing?;
        let session = self.sessions.borrow().get(&enclosing.session)?.upgrade()?;
        let holds_only_theirs = session
            .held_locks()
            .all(|hold, key| enclosing.holds.contains(&hold) && key != lock.key);
        let fits =
            lock.scope == Scope::Session && session.scope() == Scope::Session && holds_only_theirs;
        (fits && session.is_usable() && session.is_idle()).then(|| Lease::new(self, session, false))
    }

    /// An idle session, or a new one.
    pub(crate) async fn session(
        self: &Rc<Self>,
        scope: Scope,
        opened_for: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let lease = self.idle_or_new(scope).await;
        lease.map_err(|why| why.explain(opened_for, &self.database.place()))
    }

    pub(crate) async fn new_session(
        self: &Rc<Self>,
        scope: Scope,
        opened_for: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let lease = self.connect(scope).await;
        lease.map_err(|why| why.explain(opened_for, &self.database.place()))
    }

    async fn idle_or_new(self: &Rc<Self>, scope: Scope) -> Result<Lease, NoSession> {
        match self.idle(scope) {
            Some(lease) => Ok(lease),
            None => self.connect(scope).await,
        }
    }

    pub(super) fn idle(self: &Rc<Self>, scope: Scope) -> Option<Lease> {
        let session = self.take_idle(scope)?;
        Some(Lease::new(self, session, true))
    }

    pub(super) async fn connect(self: &Rc<Self>, scope: Scope) -> Result<Lease, NoSession> {
        let session = Session::connect(&self.database, scope).await?;
        self.sessions
            .borrow_mut()
            .insert(session.id(), Rc::downgrade(&session));
        // The heartbeat's task may be gone if the thread is about to end.
        let _ = self.opened.send(Rc::downgrade(&session));
        Ok(Lease::new(self, session, false))
    }

    fn take_idle(&self, scope: Scope) -> Option<Rc<Session>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.session.is_usable());
        let latest = idle
            .iter()
            .rposition(|idle| idle.session.scope() == scope)?;
        Some(idle.remove(latest).session)
    }

    fn give_back(&self, session: Rc<Session>) {
        if self.helper.is(&session) {
            if session.is_usable() && self.keeps_helper() {
                return;
            }
            self.helper.take_unused();
        }
        let mut idle = self.idle.borrow_mut();
        let of_its_scope = idle
            .iter()
            .filter(|idle| idle.session.scope() == session.scope())
            .count();
        if session.is_usable() && of_its_scope < MAX_IDLE {
            idle.push(Idle {
                session,
                since: Instant::now(),
            });
        } else {
            self.sessions.borrow_mut().remove(&session.id());
        }
    }

    pub(super) fn close_idle(&self) {
        if !self.keeps_helper()
            && let Some(session) = self.helper.take_unused()
        {
            self.give_back(session);
        }
        self.idle
            .borrow_mut()
            .retain(|idle| idle.session.is_usable() && idle.since.elapsed() < IDLE_FOR);
        self.sessions
            .borrow_mut()
            .retain(|_, session| session.strong_count() > 0);
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
}

impl Lease {
    pub(super) fn new(pool: &Rc<Pool>, session: Rc<Session>, was_idle: bool) -> Self {
        session.leases().set(session.leases().get() + 1);
        Self {
            pool: Rc::clone(pool),
            session,
            was_idle,
        }
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
        if leases.get() == 0 {
            self.pool.give_back(Rc::clone(&self.session));
        }
    }
}
