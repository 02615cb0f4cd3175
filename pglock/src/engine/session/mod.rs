//! One session of pglock's own.

pub(super) mod answer;
mod backend_key;
mod connection;
mod environment;
mod held;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_postgres::Client;

use super::ids::{SessionId, SessionState};
use super::lock::DatabaseLock;
use connection::{ClientWire, ConnectionTask, RawConnection};
use environment::Unsupported;
use held::HeldLocks;

use crate::database::Database;
use crate::error::Error;
use crate::model::backend::Backend;
use crate::model::options::{Scope, WaitPolicy};
use crate::sql;
use crate::wire::protocol::{self, AcquireOutcome};
use crate::wire::{ExtendedQuery, SimpleQuery};

pub(crate) struct Session {
    id: SessionId,
    client: Client,
    backend: Backend,
    scope: Scope,
    behind_pooler: bool,
    server: sql::session::ServerFeatures,
    lock_table: usize,
    task: ConnectionTask,
    exclusive: Mutex<()>,
    /// How many speak, or wait to: the heartbeat is not one of them.
    pending: Cell<usize>,
    /// When the last conversation began or ended.
    last_used: Cell<Instant>,
    leases: Cell<usize>,
    doubtful: Cell<bool>,
}

impl Session {
    /// Connects, and sets the session up for locks of `scope`.
    pub(super) async fn connect(
        database: &Database,
        scope: Scope,
        opened_for: &dyn fmt::Display,
    ) -> Result<Rc<Self>, Error> {
        let bound = database.connect_timeout();
        match tokio::time::timeout(bound, Self::open(database, scope)).await {
            Ok(Ok(session)) => Ok(Rc::new(session)),
            Ok(Err(error)) => Err(error.explain(opened_for, &database.place())),
            Err(_) => Err(Error::connect_timeout(opened_for, &database.place(), bound)),
        }
    }

    async fn open(database: &Database, scope: Scope) -> Result<Self, Unsupported> {
        let connection = RawConnection::open(database).await?;
        let surroundings = environment::probe(database, &connection, scope).await?;
        let (client, task) = connection.finished();
        Ok(Self {
            id: SessionId::next(),
            client,
            backend: surroundings.backend,
            scope,
            behind_pooler: surroundings.behind_pooler,
            server: surroundings.server,
            lock_table: surroundings.lock_table,
            task,
            exclusive: Mutex::new(()),
            pending: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            leases: Cell::new(0),
            doubtful: Cell::new(false),
        })
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn backend(&self) -> Backend {
        self.backend
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn is_behind_pooler(&self) -> bool {
        self.behind_pooler
    }

    /// How many locks have room in the server's lock table.
    pub(super) fn lock_table(&self) -> usize {
        self.lock_table
    }

    pub(super) fn state(&self) -> watch::Receiver<SessionState> {
        self.task.state.clone()
    }

    pub(super) fn leases(&self) -> &Cell<usize> {
        &self.leases
    }

    /// The locks that it holds.
    pub(super) fn holds(&self) -> &HeldLocks {
        &self.task.holds
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.doubtful.get()
            && !self.client.is_closed()
            && *self.task.state.borrow() == SessionState::Open
    }

    /// Whether a statement could be sent at once.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.get() == 0
    }

    /// The right to speak: a session's statements come one conversation after the other.
    pub(crate) async fn exclusive(&self) -> Exclusive<'_> {
        let speaking = Pending::new(self);
        let turn = self.exclusive.lock().await;
        self.last_used.set(Instant::now());
        Exclusive {
            session: self,
            _turn: turn,
            _speaking: Some(speaking),
        }
    }

    /// A conversation for the heartbeat, unless there is one.
    pub(super) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        Some(Exclusive {
            session: self,
            _turn: self.exclusive.try_lock().ok()?,
            _speaking: None,
        })
    }

    /// Since when no conversation began or ended.
    pub(super) fn quiet_for(&self) -> Duration {
        self.last_used.get().elapsed()
    }

    /// Ends a session whose server is silent: first its holders know, and after `grace` the socket is closed.
    pub(super) fn give_up(&self, why: &'static str, grace: Duration) {
        self.doubtful.set(true);
        let ConnectionTask {
            given_up, holds, ..
        } = &self.task;
        given_up.why.set(Some(why));
        // Who waits without a lock is told by the end of the socket, and needs no grace.
        let grace = if holds.is_empty() {
            Duration::ZERO
        } else {
            grace
        };
        given_up.grace.set(grace);
        given_up.told.notify_one();
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.task.given_up.why.get().is_some()
    }

    /// Closes the socket now, whatever is under way: what it held is released by the server, and is lost to us.
    pub(crate) fn close_now(&self) {
        self.doubtful.set(true);
        self.task.task.abort();
        self.task.holds.lost(BROKEN);
    }
}

/// Why sessions are closed that nobody knows the state of.
pub(super) const BROKEN: &str = "its session was closed since its state was in doubt";

/// Who speaks on a session, or waits to.
struct Pending<'s>(&'s Session);

impl<'s> Pending<'s> {
    fn new(session: &'s Session) -> Self {
        session.pending.set(session.pending.get() + 1);
        Self(session)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.set(self.0.pending.get() - 1);
    }
}

/// A session while it is spoken on.
pub(crate) struct Exclusive<'s> {
    session: &'s Session,
    _turn: MutexGuard<'s, ()>,
    _speaking: Option<Pending<'s>>,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.session.last_used.set(Instant::now());
    }
}

impl Exclusive<'_> {
    pub(crate) fn wire(&self) -> impl SimpleQuery + ExtendedQuery {
        ClientWire(&self.session.client)
    }

    pub(super) async fn acquire(&self, lock: &DatabaseLock, wait: WaitPolicy) -> AcquireOutcome {
        let (key, mode) = (lock.key, lock.mode);
        match lock.scope {
            Scope::Session => {
                let pid = Some(self.session.backend.pid);
                protocol::acquire_session(&mut self.wire(), key, mode, wait, pid).await
            }
            Scope::Transaction => {
                let server = self.session.server;
                protocol::begin_and_acquire(&mut self.wire(), key, mode, wait, server).await
            }
        }
    }
}
