//! A lock that is held on a session of pglock's own, as its holder sees it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use crate::Error;
use crate::database::Database;
use crate::engine::{Command, HoldId, SessionId};
use crate::key::{Key, LockId};
use crate::options::{Mode, Scope};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) id: LockId,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) scope: Scope,
    pub(crate) database: Database,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lock {}", self.id)
    }
}

impl Lock {
    /// Whether one who holds `held` and waits for `self` waits for itself.
    pub(crate) fn waits_for(&self, held: &Lock) -> bool {
        self.is_same_key(held) && (self.mode == Mode::Exclusive || held.mode == Mode::Exclusive)
    }

    pub(crate) fn is_same_key(&self, other: &Lock) -> bool {
        self.key == other.key && self.database == other.database
    }
}

/// Whether a session lives; what it held is gone when it doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Ended { why: String },
}

/// A lock that was granted. Dropping it releases it, without waiting for that.
pub(crate) struct Hold {
    pub(crate) lock: Lock,
    pub(crate) session: SessionId,
    pub(crate) id: HoldId,
    life: watch::Receiver<Life>,
    engine: mpsc::WeakUnboundedSender<Command>,
    /// The process that was granted it: after a fork, the child has only a copy of this value.
    process: u32,
    released: AtomicBool,
}

impl Hold {
    pub(crate) fn new(
        lock: Lock,
        id: HoldId,
        session: SessionId,
        life: watch::Receiver<Life>,
        engine: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        Self {
            lock,
            session,
            id,
            life,
            engine,
            process: std::process::id(),
            released: AtomicBool::new(false),
        }
    }

    /// Whether this process was granted it, and didn't get it from its parent by a fork.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    fn lost(&self, why: &str) -> Error {
        Error::lost(&self.lock.id, why)
    }

    /// Whether the engine is there to get it.
    fn send(&self, command: Command) -> bool {
        self.engine
            .upgrade()
            .is_some_and(|engine| engine.send(command).is_ok())
    }

    /// `Lost` once the session is known to have ended; no SQL.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        match &*self.life.borrow() {
            Life::Ended { why } => Err(self.lost(why)),
            // The session's task is gone without a word.
            Life::Alive if self.life.has_changed().is_err() => Err(self.lost(ENGINE_ENDED)),
            Life::Alive => Ok(()),
        }
    }

    /// Completes when the lock is lost, and only then.
    pub(crate) async fn until_lost(&self) -> Error {
        let mut life = self.life.clone();
        match life.wait_for(|life| *life != Life::Alive).await {
            Ok(_) | Err(_) => {}
        }
        self.check()
            .err()
            .unwrap_or_else(|| self.lost(ENGINE_ENDED))
    }

    /// Releases it and waits for the server's word.
    ///
    /// Dropped before that, the release goes on in the background.
    pub(crate) async fn release(&self) -> Result<(), Error> {
        if !self.is_of_this_process() {
            return Err(Error::lost_to_fork(&self.lock.id));
        }
        if self.released.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let release = Command::Release {
            hold: self.id,
            reply: Some(reply),
        };
        if !self.send(release) {
            return Err(self.lost(ENGINE_ENDED));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(self.lost(ENGINE_ENDED)))
    }
}

const ENGINE_ENDED: &str =
    "its session was closed since its state was in doubt, or pglock's thread ended";

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.released.swap(true, Ordering::Relaxed) && self.is_of_this_process() {
            // An engine that is gone has taken its sessions, and so the lock, with it.
            self.send(Command::Release {
                hold: self.id,
                reply: None,
            });
        }
    }
}
