//! The sessions to one database: idle ones are used again, those in doubt are closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::heartbeat;
use super::ids::{Around, SessionId};
use super::lock::Lock;
use super::session::{IN_DOUBT, Session};
use super::turns::Turns;
use crate::backend::Backend;
use crate::database::Database;
use crate::error::{Error, Holder};
use crate::heartbeat::Heartbeat;
use crate::key::Key;
use crate::options::Scope;
use crate::outcome;
use crate::protocol;
use crate::sql;
use crate::sql::Rows;
use crate::wire::Wire;

/// Idle sessions beyond this many are closed at once.
const MAX_IDLE: usize = 8;

/// Sessions that were idle for this long are closed.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// How long a caller that gives up waits for the name of the holder.
const ASIDE_BOUND: Duration = Duration::from_secs(1);

/// A database that has answered so lately is there.
const ANSWERED_LATELY: Duration = Duration::from_secs(2);

pub(crate) struct Pool {
    database: Database,
    idle: RefCell<Vec<Idle>>,
    sessions: RefCell<HashMap<SessionId, Weak<Session>>>,
    turns: Rc<Turns>,
    /// Held by who cancels a wait or looks up a holder on a session beside: one at a time, so that a thousand
    /// waiters that give up don't open a thousand sessions for it.
    aside: Mutex<()>,
    /// When a session beside last got an answer.
    answered: Cell<Option<Instant>>,
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
            answered: Cell::default(),
        })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn turns(&self) -> &Rc<Turns> {
        &self.turns
    }

    /// The sessions that there are.
    pub(super) fn backends(&self) -> Vec<Backend> {
        let sessions = self.sessions.borrow();
        let sessions = sessions.values().filter_map(Weak::upgrade);
        sessions.map(|session| session.backend()).collect()
    }

    /// Marks a holder that is a session of ours.
    pub(super) fn recognize(&self, mut holder: Holder) -> Holder {
        let sessions = self.sessions.borrow();
        let mut ours = sessions.values().filter_map(Weak::upgrade);
        holder.this_process = ours.any(|session| session.backend().pid == holder.pid);
        holder
    }

    /// How many locks this process holds in the database.
    pub(super) fn held(&self) -> usize {
        let sessions = self.sessions.borrow();
        let sessions = sessions.values().filter_map(Weak::upgrade);
        sessions.map(|session| session.holds().len()).sum()
    }

    /// The session of the calls around, where it can be used for this lock.
    ///
    /// Not where it holds a lock of somebody else's too, a sibling's or a guard's: that one's release would wait behind
    /// this wait. Nor where it holds this very key, which Postgres would grant again at once.
    pub(super) fn chain_session(
        self: &Rc<Self>,
        lock: &Lock,
        around: Option<&Around>,
    ) -> Option<Lease> {
        let around = around?;
        let session = self.sessions.borrow().get(&around.session)?.upgrade()?;
        let holds_only_theirs = session
            .holds()
            .all(|hold, key| around.holds.contains(&hold) && key != lock.key);
        let fits =
            lock.scope == Scope::Session && session.scope() == Scope::Session && holds_only_theirs;
        (fits && session.is_usable() && session.is_silent())
            .then(|| Lease::new(self, session, false))
    }

    /// An idle session, or a new one.
    pub(crate) async fn session(
        self: &Rc<Self>,
        scope: Scope,
        purpose: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        if let Some(session) = self.take_idle(scope) {
            return Ok(Lease::new(self, session, true));
        }
        self.new_session(scope, purpose).await
    }

    pub(crate) async fn new_session(
        self: &Rc<Self>,
        scope: Scope,
        purpose: &dyn fmt::Display,
    ) -> Result<Lease, Error> {
        let session = Session::connect(&self.database, scope, purpose).await?;
        self.sessions
            .borrow_mut()
            .insert(session.id(), Rc::downgrade(&session));
        let kept = heartbeat::keep(
            Rc::downgrade(self),
            Rc::downgrade(&session),
            self.database.heartbeat(),
        );
        tokio::task::spawn_local(kept);
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
    pub(super) fn cancel_waiter(
        self: &Rc<Self>,
        pid: i32,
        lock: Lock,
    ) -> impl Future<Output = ()> + use<> {
        let pool = Rc::clone(self);
        async move {
            let cancel = sql::cancel_waiter(pid, lock.key);
            // Without a session beside, the wait is seen to go on, and its socket is closed.
            let _ = pool.aside(&lock, &cancel).await;
        }
    }

    /// Ends the session of `lock` that we closed, if the server hasn't noticed yet, from a session beside.
    pub(super) async fn terminate(self: Rc<Self>, backend: Backend, lock: Lock) {
        // Without a session beside, the server looks for its client by itself.
        let _ = self.aside(&lock, &sql::terminate(backend, lock.key)).await;
    }

    /// Who has the lock, asked on a session beside. `Ok(None)` also where there is no time to ask.
    ///
    /// # Errors
    ///
    /// When there is no session to the database.
    pub(super) async fn holder(self: &Rc<Self>, lock: &Lock) -> Result<Option<Holder>, Error> {
        let who = sql::holder(lock.key);
        let asked = self.aside(lock, &who);
        match tokio::time::timeout(ASIDE_BOUND, asked).await {
            Ok(rows) => {
                let holder = rows?.as_ref().and_then(outcome::of_holder);
                Ok(holder.map(|holder| self.recognize(holder)))
            }
            // Many ask at once; the server was there a moment ago.
            Err(_) if self.answered_lately() => Ok(None),
            Err(_) => Err(Error::connect_timeout(
                lock,
                &self.database.place(),
                ASIDE_BOUND,
            )),
        }
    }

    /// Whether the server is there, asked on a session beside: once for all who want to know.
    pub(super) async fn answers_beside(self: &Rc<Self>, heartbeat: Heartbeat) -> bool {
        let answered_since = |bound: Duration| {
            let answered = self.answered.get();
            answered.is_some_and(|answered| answered.elapsed() < bound)
        };
        if answered_since(heartbeat.interval()) {
            return true;
        }
        let purpose = "the heartbeat of sessions that wait";
        // An error is an answer too: of the server, or of the kernel of its host.
        let asked = self.aside(&purpose, "");
        let answered = match heartbeat::within(heartbeat.answer(), asked).await {
            Some(Ok(_)) => true,
            Some(Err(error)) => std::error::Error::source(&error).is_some(),
            None => false,
        };
        answered || answered_since(heartbeat.answer())
    }

    fn answered_lately(&self) -> bool {
        self.answered
            .get()
            .is_some_and(|answered| answered.elapsed() < ANSWERED_LATELY)
    }

    /// Runs a statement on a session beside: its rows, or nothing where it failed.
    async fn aside(
        self: &Rc<Self>,
        purpose: &dyn fmt::Display,
        sql: &str,
    ) -> Result<Option<Rows>, Error> {
        let _one_at_a_time = self.aside.lock().await;
        let lease = self.session(Scope::Transaction, purpose).await?;
        let mut half_way = HalfWay(Some(&lease));
        let rows = {
            let conversation = lease.session().conversation().await;
            let bounds = self.database.heartbeat();
            let mut wire = conversation.wire();
            let answer = heartbeat::answered(lease.session(), bounds, wire.simple_query(sql)).await;
            if answer.is_none() {
                return Err(Error::connect_timeout(
                    purpose,
                    &self.database.place(),
                    bounds.answer(),
                ));
            }
            answer.and_then(Result::ok)
        };
        half_way.0 = None;
        self.answered.set(Some(Instant::now()));
        Ok(rows)
    }
}

/// Closes the session beside when its conversation is dropped half-way: its answer would be taken for the next one's.
struct HalfWay<'l>(Option<&'l Lease>);

impl Drop for HalfWay<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0 {
            lease.session().close_now();
        }
    }
}

/// A session in use. Where nobody uses it any more, it goes back.
pub(crate) struct Lease {
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

    pub(crate) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(super) fn was_idle(&self) -> bool {
        self.was_idle
    }

    pub(super) async fn holder(&self, key: Key) -> Option<Holder> {
        let holder = protocol::holder(&mut self.session.conversation().await.wire(), key).await;
        holder.map(|holder| self.pool.recognize(holder))
    }

    /// Closes a session whose state nobody knows, and has the server end it.
    pub(super) fn close_doubtful(&self, lock: &Lock) {
        // A session that is over needs no end, nor does one that is given up, whose other holders may not have stopped.
        if !self.session.is_usable() {
            return;
        }
        let grace = if self.session.holds().is_empty() {
            self.session.close_now();
            Duration::ZERO
        } else {
            // Calls around have locks on it, and stop first.
            let grace = self.pool.database().heartbeat().grace();
            self.session.give_up(IN_DOUBT, grace);
            grace
        };
        // Behind a pooler the backend may be another client's by now.
        if self.session.scope() == Scope::Transaction {
            return;
        }
        let terminate = Rc::clone(&self.pool).terminate(self.session.backend(), lock.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(grace).await;
            terminate.await;
        });
    }
}

impl Lease {
    /// Closes a session that a pooler has moved to another backend. What it holds stays with the one that it had.
    pub(super) fn close_elsewhere(&self, asked: &Lock) {
        let session = &self.session;
        session.close_now();
        for key in session.holds().keys() {
            let lock = Lock {
                key,
                ..asked.clone()
            };
            tokio::task::spawn_local(Rc::clone(&self.pool).terminate(session.backend(), lock));
        }
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
