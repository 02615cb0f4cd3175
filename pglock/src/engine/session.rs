//! One session of pglock's own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::AbortHandle;
use tokio_postgres::Client;

use super::HoldId;
use super::environment::{self, Unfit};
use crate::Error;
use crate::backend::Backend;
use crate::database::Database;
use crate::drivers;
use crate::hold::{Life, Lock};
use crate::key::Key;
use crate::options::{Scope, Wait};
use crate::protocol::{self, Outcome};
use crate::sql;
use crate::tls;
use crate::wire::{BoundWire, Failure, Rows, Wire};

/// Names a session of this process, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

static LAST_SESSION: AtomicU64 = AtomicU64::new(0);

pub(super) struct Session {
    id: SessionId,
    client: Client,
    backend: Backend,
    scope: Scope,
    behind_pooler: bool,
    server: sql::Server,
    life: watch::Receiver<Life>,
    driver: AbortHandle,
    conversation: Mutex<()>,
    leases: Cell<usize>,
    holds: RefCell<Vec<(HoldId, Key)>>,
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
        let (client, life, driver) = link.finished();
        Ok(Self {
            id: SessionId(LAST_SESSION.fetch_add(1, Ordering::Relaxed)),
            client,
            backend: surroundings.backend,
            scope,
            behind_pooler: surroundings.behind_pooler,
            server: surroundings.server,
            life,
            driver,
            conversation: Mutex::new(()),
            leases: Cell::new(0),
            holds: RefCell::default(),
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

    pub(super) fn life(&self) -> watch::Receiver<Life> {
        self.life.clone()
    }

    pub(super) fn leases(&self) -> &Cell<usize> {
        &self.leases
    }

    /// The locks that it holds.
    pub(super) fn holds(&self) -> &RefCell<Vec<(HoldId, Key)>> {
        &self.holds
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.doubtful.get() && !self.client.is_closed() && *self.life.borrow() == Life::Alive
    }

    /// Whether a statement could be sent at once.
    pub(super) fn is_silent(&self) -> bool {
        self.conversation.try_lock().is_ok()
    }

    /// The right to speak: a session's statements come one conversation after the other.
    pub(super) async fn conversation(&self) -> Conversation<'_> {
        Conversation {
            session: self,
            _turn: self.conversation.lock().await,
        }
    }

    /// Closes the socket now, whatever is under way: what it held is released by the server, and is lost to us.
    pub(super) fn close_now(&self) {
        self.doubtful.set(true);
        self.driver.abort();
    }
}

/// A session while it is spoken on.
pub(super) struct Conversation<'s> {
    session: &'s Session,
    _turn: MutexGuard<'s, ()>,
}

impl Conversation<'_> {
    pub(super) fn wire(&self) -> impl Wire + BoundWire {
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

struct Speaker<'c>(&'c Client);

impl Wire for Speaker<'_> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        Ok(self.0.simple_query(sql).await?.into())
    }
}

impl BoundWire for Speaker<'_> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        drivers::query(self.0, sql, values).await
    }
}

/// A connection that is no session yet. It is closed at once when dropped: its client alone would wait for an answer
/// that is under way.
pub(super) struct Link {
    client: Option<Client>,
    life: watch::Receiver<Life>,
    driver: AbortHandle,
}

impl Link {
    pub(super) async fn open(database: &Database) -> Result<Self, Failure> {
        let (client, connection) = tls::connect(database).await?;
        let (life_sender, life) = watch::channel(Life::Alive);
        let task = tokio::task::spawn_local(async move {
            let why = match connection.await {
                Ok(()) => "its session was closed".to_owned(),
                Err(error) => match error.as_db_error() {
                    Some(db) => format!("the server ended its session ({})", db.message()),
                    None => "the connection of its session broke".to_owned(),
                },
            };
            life_sender.send_replace(Life::Ended { why });
        });
        Ok(Self {
            client: Some(client),
            life,
            driver: task.abort_handle(),
        })
    }

    pub(super) fn client(&self) -> &Client {
        self.client.as_ref().expect("there until it is finished")
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Rows, Failure> {
        Speaker(self.client()).simple_query(sql).await
    }

    fn finished(mut self) -> (Client, watch::Receiver<Life>, AbortHandle) {
        let client = self.client.take().expect("it is finished once");
        (client, self.life.clone(), self.driver.clone())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.driver.abort();
        }
    }
}
