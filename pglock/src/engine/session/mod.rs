//! One session of pglock's own.

pub(super) mod answer;
mod backend_key;
mod batch;
mod connection;
mod driver;
mod environment;
mod held;
mod last_answer;
mod link;
mod pace;
mod stamp;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

#[cfg(feature = "testing")]
use tokio::sync::oneshot;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::ids::SessionState;
use super::ledger::Op;
use super::lock::DatabaseLock;
pub(super) use batch::BatchEnd;
use batch::Statements;
#[cfg(feature = "testing")]
use connection::CLOSED;
use connection::{RawConnection, SessionTask};
pub(super) use driver::Borrower;
pub(super) use environment::NoSession;
use environment::ServerInfo;
pub(super) use held::{HeldLocks, HoldTimes};
#[cfg(feature = "testing")]
use last_answer::LastAnswer;
pub(super) use link::{BatchDone, Begun, Borrowed, SessionLink};
use link::{Peer, PeerWire};
use stamp::Stamp;

use crate::database::Database;
use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::options::{Scope, WaitPolicy};
use crate::sql;
use crate::sql::Rows;
use crate::telemetry::SessionRole;
use crate::wire::canceled::until_not_canceled;
use crate::wire::protocol::{self, AcquireOutcome};
use crate::wire::{ExtendedQuery, SimpleQuery};

pub(crate) struct Session {
    link: Arc<SessionLink>,
    scope: Scope,
    behind_pooler: bool,
    server: sql::session::ServerFeatures,
    lock_table: usize,
    task: SessionTask,
    /// How many conversations are under way or wait for their turn, without the heartbeat.
    pending: Cell<usize>,
    leases: Cell<usize>,
    /// Whether it is about to say which locks it holds.
    naming: Cell<bool>,
    /// Whether it is looked for the end of its loans.
    watching_loans: Cell<bool>,
}

impl Session {
    /// Connects, and sets the session up for locks of `scope`.
    pub(super) async fn connect(database: &Database, scope: Scope) -> Result<Rc<Self>, NoSession> {
        #[cfg(feature = "testing")]
        if database.is_in_process() {
            return Ok(Rc::new(Self::in_process(database, scope)));
        }
        let bound = database.connect_timeout();
        match tokio::time::timeout(bound, Self::open(database, scope)).await {
            Ok(opened) => opened.map(Rc::new),
            Err(_) => Err(NoSession::Timeout(bound)),
        }
    }

    async fn open(database: &Database, scope: Scope) -> Result<Self, NoSession> {
        let connection = RawConnection::open(database).await?;
        let info = environment::probe(database, &connection, scope).await?;
        let (client, driver, task) = connection.into_parts();
        let peer = Peer::Postgres {
            client,
            statements: Statements::default(),
            driver,
        };
        Ok(Self::new(peer, &info, task, scope))
    }

    /// One that is no connection, of [`Database::in_process`].
    #[cfg(feature = "testing")]
    fn in_process(database: &Database, scope: Scope) -> Self {
        let (lasts, ended) = oneshot::channel();
        let last_answer = Arc::new(LastAnswer::now());
        let task = SessionTask::start(database, last_answer, (), async {
            let _ = ended.await;
            CLOSED.to_owned()
        });
        Self::new(
            Peer::InProcess(lasts),
            &ServerInfo::of_none(database),
            task,
            scope,
        )
    }

    fn new(peer: Peer, info: &ServerInfo, task: SessionTask, scope: Scope) -> Self {
        let link = SessionLink {
            peer,
            backend: info.backend,
            exclusive: Arc::new(Mutex::new(())),
            state: task.state.clone(),
            held_locks: Arc::clone(&task.held_locks),
            last_answer: Arc::clone(&task.last_answer),
            last_used: Stamp::now(),
            loans: AtomicU64::new(0),
        };
        Self {
            link: Arc::new(link),
            scope,
            behind_pooler: info.behind_pooler,
            server: info.server,
            lock_table: info.lock_table,
            task,
            pending: Cell::new(0),
            leases: Cell::new(0),
            naming: Cell::new(false),
            watching_loans: Cell::new(false),
        }
    }

    /// Whether there is somebody to ask.
    pub(super) fn has_server(&self) -> bool {
        self.link.peer.is_server()
    }

    pub(super) fn backend(&self) -> Backend {
        self.link.backend
    }

    /// What a borrower needs of it.
    pub(super) fn link(&self) -> &Arc<SessionLink> {
        &self.link
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
            && !self.link.peer.is_closed()
            && *self.task.state.borrow() == SessionState::Open
    }

    /// Whether no conversation is under way or waits for its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.get() == 0
    }

    /// Waits for exclusive use of the session: one conversation ends before the next one begins.
    pub(crate) async fn exclusive(&self) -> Exclusive<'_> {
        let pending = Pending::new(self);
        let permit = Arc::clone(&self.link.exclusive).lock_owned().await;
        self.link.last_used.renew();
        Exclusive::new(self, permit, Some(pending))
    }

    /// Exclusive use for the heartbeat, unless a conversation is under way.
    pub(super) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        let permit = Arc::clone(&self.link.exclusive).try_lock_owned().ok()?;
        Some(Exclusive::new(self, permit, None))
    }

    /// The exclusive use that a borrower had.
    pub(super) fn exclusive_of_borrower(&self, permit: OwnedMutexGuard<()>) -> Exclusive<'_> {
        Exclusive::new(self, permit, Some(Pending::new(self)))
    }

    /// When a conversation last began or ended.
    pub(super) fn last_used(&self) -> Instant {
        self.link.last_used.at()
    }

    /// The time since a conversation last began or ended.
    pub(super) fn unused_for(&self) -> Duration {
        self.last_used().elapsed()
    }

    /// When the server last answered on it.
    pub(super) fn answered_at(&self) -> Instant {
        self.task.last_answer.at()
    }

    /// Cancels what it does now, by a cancel request. Returns when the server has taken that, or cannot be reached.
    pub(super) async fn request_cancel(&self, database: &Database) {
        self.link.peer.request_cancel(database).await;
    }

    /// Whether the caller has to have it say which locks it holds.
    pub(super) fn begin_naming(&self) -> bool {
        !self.naming.replace(true)
    }

    /// Whether the caller has to look for the end of its loans.
    pub(super) fn begin_watching_loans(&self) -> bool {
        !self.watching_loans.replace(true)
    }

    pub(super) fn end_watching_loans(&self) {
        self.watching_loans.set(false);
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

/// Exclusive use of a session, for one conversation on pglock's thread.
pub(crate) struct Exclusive<'s> {
    session: &'s Session,
    _permit: OwnedMutexGuard<()>,
    _pending: Option<Pending<'s>>,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.session.link.last_used.renew();
    }
}

impl<'s> Exclusive<'s> {
    fn new(
        session: &'s Session,
        permit: OwnedMutexGuard<()>,
        pending: Option<Pending<'s>>,
    ) -> Self {
        session.link.peer.take_back();
        Self {
            session,
            _permit: permit,
            _pending: pending,
        }
    }

    pub(crate) fn wire(&self) -> impl SimpleQuery + ExtendedQuery {
        PeerWire {
            peer: &self.session.link.peer,
            last_answer: &self.session.link.last_answer,
        }
    }

    /// Runs statements that no lock depends on. Where they fail in a transaction, it goes on without them, and keeps its lock.
    pub(super) async fn aside(&self, statements: &str) -> Result<Rows, Failure> {
        let mut wire = self.wire();
        if self.session.scope == Scope::Session {
            return wire.simple_query(statements).await;
        }
        let answer = wire
            .simple_query(&sql::transaction::aside(statements))
            .await;
        if answer.as_ref().is_err_and(|failure| !failure.session_ended) {
            let undo = sql::transaction::UNDO_ACQUIRE_IN_TRANSACTION;
            let undone = until_not_canceled(&mut wire, undo).await;
            if undone.is_err() {
                self.session.close_now();
            }
        }
        answer
    }

    /// Like [`SessionLink::run_batch`].
    pub(super) async fn run_batch(&self, ops: &[Op], answers: &mut Vec<bool>) -> BatchEnd {
        self.session.link.run_batch(ops, answers).await
    }

    pub(super) async fn acquire(&self, lock: &DatabaseLock, wait: WaitPolicy) -> AcquireOutcome {
        if !self.session.has_server() {
            return AcquireOutcome::Granted;
        }
        match lock.scope {
            Scope::Session => {
                let pid = Some(self.session.backend().pid);
                protocol::acquire_session(&mut self.wire(), lock, wait, pid).await
            }
            Scope::Transaction => {
                let server = self.session.server;
                protocol::begin_and_acquire(&mut self.wire(), lock, wait, server).await
            }
        }
    }
}
