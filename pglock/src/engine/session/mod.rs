//! One session of pglock's own.

pub(super) mod answer;
mod backend_key;
mod batch;
mod connection;
mod environment;
mod held;
mod last_answer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_postgres::Client;

use super::ids::SessionState;
use super::ledger::Op;
use super::lock::DatabaseLock;
pub(super) use batch::BatchEnd;
use batch::Statements;
use connection::{ClientWire, ConnectionTask, RawConnection};
pub(super) use environment::NoSession;
use held::HeldLocks;

use crate::database::Database;
use crate::model::backend::Backend;
use crate::model::options::{Scope, WaitPolicy};
use crate::sql;
use crate::telemetry::SessionRole;
use crate::wire::protocol::{self, AcquireOutcome};
use crate::wire::{ExtendedQuery, SimpleQuery};

pub(crate) struct Session {
    client: Client,
    backend: Backend,
    scope: Scope,
    behind_pooler: bool,
    server: sql::session::ServerFeatures,
    lock_table: usize,
    task: ConnectionTask,
    statements: Statements,
    exclusive: Mutex<()>,
    /// How many conversations are under way or wait for their turn, without the heartbeat.
    pending: Cell<usize>,
    /// When the last conversation began or ended.
    last_used: Cell<Instant>,
    leases: Cell<usize>,
    /// Whether it is about to say which locks it holds.
    naming: Cell<bool>,
}

impl Session {
    /// Connects, and sets the session up for locks of `scope`.
    pub(super) async fn connect(database: &Database, scope: Scope) -> Result<Rc<Self>, NoSession> {
        let bound = database.connect_timeout();
        match tokio::time::timeout(bound, Self::open(database, scope)).await {
            Ok(opened) => opened.map(Rc::new),
            Err(_) => Err(NoSession::Timeout(bound)),
        }
    }

    async fn open(database: &Database, scope: Scope) -> Result<Self, NoSession> {
        let connection = RawConnection::open(database).await?;
        let info = environment::probe(database, &connection, scope).await?;
        let (client, task) = connection.into_parts();
        Ok(Self {
            client,
            backend: info.backend,
            scope,
            behind_pooler: info.behind_pooler,
            server: info.server,
            lock_table: info.lock_table,
            task,
            statements: Statements::default(),
            exclusive: Mutex::new(()),
            pending: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            leases: Cell::new(0),
            naming: Cell::new(false),
        })
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

    /// The size of the server's lock table, in locks.
    pub(super) fn lock_table(&self) -> usize {
        self.lock_table
    }

    pub(super) fn state(&self) -> watch::Receiver<SessionState> {
        self.task.state.clone()
    }

    /// Says what it is for from now on, for those who count sessions.
    pub(super) fn is_for(&self, role: SessionRole) {
        self.task.gauge.is_for(role);
    }

    pub(super) fn leases(&self) -> &Cell<usize> {
        &self.leases
    }

    /// The locks that it holds.
    pub(super) fn held_locks(&self) -> &HeldLocks {
        &self.task.held_locks
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.task.shutdown.is_open()
            && !self.client.is_closed()
            && *self.task.state.borrow() == SessionState::Open
    }

    /// Whether no conversation is under way or waits for its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.get() == 0
    }

    /// Waits for exclusive use of the session: one conversation ends before the next one begins.
    pub(crate) async fn exclusive(&self) -> Exclusive<'_> {
        let pending = Pending::new(self);
        let permit = self.exclusive.lock().await;
        self.last_used.set(Instant::now());
        Exclusive {
            session: self,
            _permit: permit,
            _pending: Some(pending),
        }
    }

    /// Exclusive use for the heartbeat, unless a conversation is under way.
    pub(super) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        Some(Exclusive {
            session: self,
            _permit: self.exclusive.try_lock().ok()?,
            _pending: None,
        })
    }

    /// When a conversation last began or ended.
    pub(super) fn last_used(&self) -> Instant {
        self.last_used.get()
    }

    /// The time since a conversation last began or ended.
    pub(super) fn unused_for(&self) -> Duration {
        self.last_used.get().elapsed()
    }

    /// When the server last answered on it.
    pub(super) fn answered_at(&self) -> Instant {
        self.task.last_answer.at()
    }

    /// Cancels what it does now, by a cancel request. Returns when the server has taken that, or cannot be reached.
    pub(super) async fn request_cancel(&self, database: &Database) {
        database.cancel(&self.client.cancel_token()).await;
    }

    /// Whether the caller has to have it say which locks it holds.
    pub(super) fn begin_naming(&self) -> bool {
        !self.naming.replace(true)
    }

    pub(super) fn end_naming(&self) {
        self.naming.set(false);
    }

    /// Ends a session: its holders are told at once, and the socket is closed after `grace`.
    pub(super) fn give_up(&self, reason: &'static str, grace: Duration) {
        // A caller that only waits for a lock has nothing to stop, and learns it from the end of the socket.
        let grace = if self.task.held_locks.is_empty() {
            Duration::ZERO
        } else {
            grace
        };
        self.task.shutdown.give_up(reason, grace);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.task.shutdown.is_given_up()
    }

    /// Closes the socket now, whatever is under way. The server releases what the session held; its holders have lost
    /// it.
    pub(crate) fn close_now(&self) {
        self.task.shutdown.abort();
        self.task.abort.abort();
        self.task.held_locks.lost(BROKEN);
    }
}

/// Why a session was closed whose state is not known.
pub(super) const BROKEN: &str = "its session was closed because its state was not known";

/// A conversation that is under way on a session, or waits for its turn.
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

/// Exclusive use of a session, for one conversation.
pub(crate) struct Exclusive<'s> {
    session: &'s Session,
    _permit: MutexGuard<'s, ()>,
    _pending: Option<Pending<'s>>,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.session.last_used.set(Instant::now());
    }
}

impl Exclusive<'_> {
    pub(crate) fn wire(&self) -> impl SimpleQuery + ExtendedQuery {
        ClientWire {
            client: &self.session.client,
            last_answer: &self.session.task.last_answer,
        }
    }

    /// Runs operations that don't wait; see [`batch::run`].
    pub(super) async fn run_batch(&self, ops: &[Op], answers: &mut Vec<bool>) -> BatchEnd {
        let Session {
            client,
            statements,
            backend,
            ..
        } = self.session;
        let ran = batch::run(client, statements, backend.pid, ops, answers).await;
        self.session.task.last_answer.note(&ran);
        batch::end(ran, answers.len() == ops.len())
    }

    pub(super) async fn acquire(&self, lock: &DatabaseLock, wait: WaitPolicy) -> AcquireOutcome {
        match lock.scope {
            Scope::Session => {
                let pid = Some(self.session.backend.pid);
                protocol::acquire_session(&mut self.wire(), lock, wait, pid).await
            }
            Scope::Transaction => {
                let server = self.session.server;
                protocol::begin_and_acquire(&mut self.wire(), lock, wait, server).await
            }
        }
    }
}
