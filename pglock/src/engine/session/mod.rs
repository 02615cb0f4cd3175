//! One session of pglock's own.

pub(super) mod answer;
mod backend_key;
mod environment;
mod held;
mod link;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_postgres::Client;

use super::ids::{Life, SessionId};
use super::lock::Lock;
use environment::Unfit;
use held::Holds;
use link::{Driven, Link, Speaker};

use crate::database::Database;
use crate::error::Error;
use crate::model::backend::Backend;
use crate::model::options::{Scope, Wait};
use crate::sql;
use crate::wire::protocol::{self, Outcome};
use crate::wire::{BoundWire, Wire};

pub(crate) struct Session {
    id: SessionId,
    client: Client,
    backend: Backend,
    scope: Scope,
    behind_pooler: bool,
    server: sql::Server,
    lock_table: usize,
    driven: Driven,
    conversation: Mutex<()>,
    /// How many speak, or wait to: the heartbeat is not one of them.
    speakers: Cell<usize>,
    /// When the last conversation began or ended.
    spoke: Cell<Instant>,
    leases: Cell<usize>,
    doubtful: Cell<bool>,
}

impl Session {
    /// Connects, and sets the session up for locks of `scope`.
    pub(super) async fn connect(
        database: &Database,
        scope: Scope,
        purpose: &dyn fmt::Display,
    ) -> Result<Rc<Self>, Error> {
        let bound = database.connect_timeout();
        match tokio::time::timeout(bound, Self::open(database, scope)).await {
            Ok(Ok(session)) => Ok(Rc::new(session)),
            Ok(Err(error)) => Err(error.explain(purpose, &database.place())),
            Err(_) => Err(Error::connect_timeout(purpose, &database.place(), bound)),
        }
    }

    async fn open(database: &Database, scope: Scope) -> Result<Self, Unfit> {
        let link = Link::open(database).await?;
        let surroundings = environment::examine(database, &link, scope).await?;
        let (client, driven) = link.finished();
        Ok(Self {
            id: SessionId::next(),
            client,
            backend: surroundings.backend,
            scope,
            behind_pooler: surroundings.behind_pooler,
            server: surroundings.server,
            lock_table: surroundings.lock_table,
            driven,
            conversation: Mutex::new(()),
            speakers: Cell::new(0),
            spoke: Cell::new(Instant::now()),
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

    pub(super) fn life(&self) -> watch::Receiver<Life> {
        self.driven.life.clone()
    }

    pub(super) fn leases(&self) -> &Cell<usize> {
        &self.leases
    }

    /// The locks that it holds.
    pub(super) fn holds(&self) -> &Holds {
        &self.driven.holds
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.doubtful.get()
            && !self.client.is_closed()
            && *self.driven.life.borrow() == Life::Alive
    }

    /// Whether a statement could be sent at once.
    pub(super) fn is_silent(&self) -> bool {
        self.speakers.get() == 0
    }

    /// The right to speak: a session's statements come one conversation after the other.
    pub(crate) async fn conversation(&self) -> Conversation<'_> {
        let speaking = Speaking::new(self);
        let turn = self.conversation.lock().await;
        self.spoke.set(Instant::now());
        Conversation {
            session: self,
            _turn: turn,
            _speaking: Some(speaking),
        }
    }

    /// A conversation for the heartbeat, unless there is one.
    pub(super) fn beat(&self) -> Option<Conversation<'_>> {
        Some(Conversation {
            session: self,
            _turn: self.conversation.try_lock().ok()?,
            _speaking: None,
        })
    }

    /// Since when no conversation began or ended.
    pub(super) fn quiet_for(&self) -> Duration {
        self.spoke.get().elapsed()
    }

    /// Ends a session whose server is silent: first its holders know, and after `grace` the socket is closed.
    pub(super) fn give_up(&self, why: &'static str, grace: Duration) {
        self.doubtful.set(true);
        let Driven {
            given_up, holds, ..
        } = &self.driven;
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
        self.driven.given_up.why.get().is_some()
    }

    /// Closes the socket now, whatever is under way: what it held is released by the server, and is lost to us.
    pub(crate) fn close_now(&self) {
        self.doubtful.set(true);
        self.driven.task.abort();
        self.driven.holds.lost(IN_DOUBT);
    }
}

/// Why sessions are closed that nobody knows the state of.
pub(super) const IN_DOUBT: &str = "its session was closed since its state was in doubt";

/// Who speaks on a session, or waits to.
struct Speaking<'s>(&'s Session);

impl<'s> Speaking<'s> {
    fn new(session: &'s Session) -> Self {
        session.speakers.set(session.speakers.get() + 1);
        Self(session)
    }
}

impl Drop for Speaking<'_> {
    fn drop(&mut self) {
        self.0.speakers.set(self.0.speakers.get() - 1);
    }
}

/// A session while it is spoken on.
pub(crate) struct Conversation<'s> {
    session: &'s Session,
    _turn: MutexGuard<'s, ()>,
    _speaking: Option<Speaking<'s>>,
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        self.session.spoke.set(Instant::now());
    }
}

impl Conversation<'_> {
    pub(crate) fn wire(&self) -> impl Wire + BoundWire {
        Speaker(&self.session.client)
    }

    pub(super) async fn acquire(&self, lock: &Lock, wait: Wait) -> Outcome {
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
