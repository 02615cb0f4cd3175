//! A lock that is held on a session of pglock's own, as its holder sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use crate::Error;
use crate::database::Database;
use crate::engine::{Command, HoldId, SessionId};
use crate::hold_limits::HoldLimits;
use crate::key::{Key, LockId};
use crate::options::{Mode, Scope};
use crate::telemetry::{Holding, InHold};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) id: LockId,
    pub(crate) label: Option<&'static str>,
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

/// A lock that was granted. Dropping it releases it, at the end of the time for which it is to be kept, without waiting
/// for that.
pub(crate) struct Hold {
    pub(crate) lock: Lock,
    pub(crate) session: SessionId,
    pub(crate) id: HoldId,
    life: watch::Receiver<Life>,
    engine: mpsc::WeakUnboundedSender<Command>,
    /// The process that was granted it: after a fork, the child has only a copy of this value.
    process: u32,
    released: AtomicBool,
    had: Instant,
    limits: HoldLimits,
    holding: Arc<Holding>,
}

impl Hold {
    pub(crate) fn new(
        lock: Lock,
        id: HoldId,
        session: SessionId,
        life: watch::Receiver<Life>,
        engine: mpsc::WeakUnboundedSender<Command>,
        holding: Arc<Holding>,
    ) -> Self {
        Self {
            lock,
            session,
            id,
            life,
            engine,
            process: std::process::id(),
            released: AtomicBool::new(false),
            had: Instant::now(),
            limits: HoldLimits::default(),
            holding,
        }
    }

    /// Given to its holder, for as long as the limits say from now on.
    pub(crate) fn limited(mut self, limits: HoldLimits) -> Self {
        self.had = Instant::now();
        self.limits = limits;
        self
    }

    /// What the body runs in.
    pub(crate) fn inside(&self) -> InHold {
        self.holding.inside()
    }

    fn keep_until(&self) -> Option<Instant> {
        self.limits.at_least.map(|least| self.had + least)
    }

    fn stop_at(&self) -> Option<Instant> {
        self.limits.at_most.map(|most| self.had + most)
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

    /// `Lost` once the session is known to have ended, or the lock was held for too long; no SQL.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_session()?;
        match self.stop_at() {
            Some(stop_at) if Instant::now() >= stop_at => Err(Error::held_past_limit(
                &self.lock.id,
                self.limits.at_most.unwrap_or_default(),
            )),
            _ => Ok(()),
        }
    }

    /// `Lost` once the session is known to have ended; no SQL.
    pub(crate) fn check_session(&self) -> Result<(), Error> {
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

    fn held_too_long(&self) -> Error {
        Error::held_too_long(&self.lock.id, self.limits.at_most.unwrap_or_default())
    }

    /// Completes when the lock is lost or was held for too long, and only then.
    pub(crate) async fn until_over(&self) -> Error {
        let Some(at) = self.stop_at() else {
            return self.until_lost().await;
        };
        let (reply, woken) = oneshot::channel();
        // An engine that is gone wakes nobody, and the lock is lost.
        self.send(Command::Wake { at, reply });
        tokio::select! {
            error = self.until_lost() => error,
            Ok(()) = woken => {
                let error = self.held_too_long();
                self.holding.lost(&error);
                error
            }
        }
    }

    /// Completes when the lock is lost, and only then.
    async fn until_lost(&self) -> Error {
        let mut life = self.life.clone();
        match life.wait_for(|life| *life != Life::Alive).await {
            Ok(_) | Err(_) => {}
        }
        self.check_session()
            .err()
            .unwrap_or_else(|| self.lost(ENGINE_ENDED))
    }

    /// Releases it and waits for the server's word; where it is to be kept, for the word that it is held until now.
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
            keep_until: self.keep_until(),
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
                keep_until: self.keep_until(),
                reply: None,
            });
        }
    }
}
