//! The sessions to one database: idle ones are used again, those in doubt are closed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::session::{Session, SessionId};
use super::turns::Turns;
use crate::Error;
use crate::database::Database;
use crate::error::Holder;
use crate::hold::Lock;
use crate::key::Key;
use crate::options::Scope;
use crate::protocol;
use crate::sql;
use crate::wire::Wire;

/// Idle sessions beyond this many are closed at once.
const MAX_IDLE: usize = 8;

/// Sessions that were idle for this long are closed.
const IDLE_FOR: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    database: Database,
    idle: RefCell<Vec<Idle>>,
    sessions: RefCell<HashMap<SessionId, Weak<Session>>>,
    turns: Rc<Turns>,
    /// Held by who cancels a wait or looks up a holder on a session beside: one at a time, so that a thousand
    /// waiters that give up don't open a thousand sessions for it.
    aside: Mutex<()>,
}

struct Idle {
    session: Rc<Session>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(database: Database) -> Rc<Self> {
        Rc::new(Self {
            database,
            idle: RefCell::default(),
            sessions: RefCell::default(),
            turns: Rc::default(),
            aside: Mutex::new(()),
        })
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn turns(&self) -> &Rc<Turns> {
        &self.turns
    }

    /// The session of the call chain, where it can be used for this lock.
    pub(super) fn chain_session(
        self: &Rc<Self>,
        lock: &Lock,
        chain: Option<SessionId>,
    ) -> Option<Lease> {
        let session = self.sessions.borrow().get(&chain?)?.upgrade()?;
        let fits = lock.scope == Scope::Session
            && session.scope() == Scope::Session
            && !session.held().borrow().contains(&lock.key);
        (fits && session.is_usable() && session.is_silent())
            .then(|| Lease::new(self, session, false))
    }

    /// An idle session, or a new one.
    pub(super) async fn session(
        self: &Rc<Self>,
        scope: Scope,
        lock: &Lock,
    ) -> Result<Lease, Error> {
        if let Some(session) = self.take_idle(scope) {
            return Ok(Lease::new(self, session, true));
        }
        self.new_session(scope, lock).await
    }

    pub(super) async fn new_session(
        self: &Rc<Self>,
        scope: Scope,
        lock: &Lock,
    ) -> Result<Lease, Error> {
        let session = Session::connect(&self.database, scope, lock).await?;
        self.sessions
            .borrow_mut()
            .insert(session.id(), Rc::downgrade(&session));
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
        let mut idle = self.idle.borrow_mut();
        if session.is_usable() && idle.len() < MAX_IDLE {
            idle.push(Idle {
                session,
                since: Instant::now(),
            });
        } else {
            self.sessions.borrow_mut().remove(&session.id());
        }
    }

    pub(super) fn close_idle(&self) {
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

    /// Cancels what waits on backend `pid` for this lock, from a session beside.
    pub(super) async fn cancel_waiter(self: Rc<Self>, pid: i32, lock: Lock) {
        self.aside(&lock, &sql::cancel_waiter(pid, lock.key)).await;
    }

    /// Ends backend `pid` from a session beside.
    pub(super) async fn terminate(self: Rc<Self>, pid: i32, lock: Lock) {
        self.aside(&lock, &sql::terminate(pid)).await;
    }

    /// Who has the lock, asked on a session beside.
    pub(super) async fn holder(self: Rc<Self>, lock: Lock) -> Option<Holder> {
        let _one_at_a_time = self.aside.lock().await;
        let lease = self.session(Scope::Transaction, &lock).await.ok()?;
        lease.holder(lock.key).await
    }

    async fn aside(self: &Rc<Self>, lock: &Lock, sql: &str) {
        let _one_at_a_time = self.aside.lock().await;
        // Without a session beside, the caller sees that nothing has ended, and closes the socket instead.
        if let Ok(lease) = self.session(Scope::Transaction, lock).await {
            let _ = lease
                .session()
                .conversation()
                .await
                .wire()
                .simple_query(sql)
                .await;
        }
    }
}

/// A session in use. Where nobody uses it any more, it goes back.
pub(super) struct Lease {
    pool: Rc<Pool>,
    session: Rc<Session>,
    /// It was idle before, so it may have died unnoticed.
    was_idle: bool,
}

impl Lease {
    fn new(pool: &Rc<Pool>, session: Rc<Session>, was_idle: bool) -> Self {
        session.leases().set(session.leases().get() + 1);
        Self {
            pool: Rc::clone(pool),
            session,
            was_idle,
        }
    }

    pub(super) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(super) fn was_idle(&self) -> bool {
        self.was_idle
    }

    pub(super) async fn holder(&self, key: Key) -> Option<Holder> {
        protocol::holder(&mut self.session.conversation().await.wire(), key).await
    }

    /// Closes a session whose state nobody knows, and has the server end it.
    pub(super) fn close_doubtful(&self, lock: &Lock) {
        self.session.close_now();
        tokio::task::spawn_local(Rc::clone(&self.pool).terminate(self.session.pid(), lock.clone()));
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
