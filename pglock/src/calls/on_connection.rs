//! Locks on a connection of the caller's: taking them, and giving them back whatever happens.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_postgres::error::SqlState;

use crate::background::block_on;
use crate::drivers::sealed::{Async, Blocking};
use crate::drivers::{AsyncWire, BlockingWire, CleanUp, CleanUpOnDrop};
use crate::error::{Error, Holder, SKIP};
use crate::model::lock_id::{Key, LockId};
use crate::model::options::{Mode, Wait};
use crate::sql;
use crate::telemetry::{self, Attempt, Holding, InHold, Origin, Subject};
use crate::wire::Wire;
use crate::wire::outcome::Released;
use crate::wire::protocol::{self, Outcome};

/// A lock that is asked for on a connection.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: LockId,
    pub(crate) label: Option<&'static str>,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) wait: Wait,
    pub(crate) skips: bool,
    /// After a fork, the child has only a copy of this, and of the socket.
    pub(crate) process: u32,
    /// What the session notes when this one is released, so that it isn't released again.
    pub(crate) note: u64,
}

/// A note that no other lock of this process has.
pub(crate) fn new_note() -> u64 {
    static NOTES: AtomicU64 = AtomicU64::new(0);
    NOTES.fetch_add(1, Ordering::Relaxed)
}

impl Asked {
    pub(crate) fn acquire(self, connection: &mut (impl Blocking + ?Sized)) -> Result<Taken, Error> {
        block_on(self.acquire_session(&mut BlockingWire(connection)))
    }

    pub(crate) fn acquire_xact(
        &self,
        transaction: &mut (impl Blocking + ?Sized),
    ) -> Result<(), Error> {
        block_on(self.acquire_in_transaction(&mut BlockingWire(transaction)))
    }

    pub(crate) async fn acquire_async(
        self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<Taken, Error> {
        let leftover = sql::release_leftover(self.key, self.mode);
        let clean_up = CleanUp::in_session(self.wait != Wait::Try, leftover);
        self.acquire_session(&mut CleanUpOnDrop::new(connection, clean_up))
            .await
    }

    pub(crate) async fn acquire_xact_async(
        &self,
        transaction: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        let clean_up = CleanUp::in_transaction(self.wait != Wait::Try);
        self.acquire_in_transaction(&mut CleanUpOnDrop::new(transaction, clean_up))
            .await
    }

    async fn acquire_session(self, wire: &mut impl Wire) -> Result<Taken, Error> {
        let (attempt, origin) = (self.attempt(), Origin::here());
        attempt.end(self.ask_in_session(wire).await)?;
        Ok(Taken {
            holding: Box::new(Holding::begin(self.subject(), &origin)),
            asked: self,
        })
    }

    async fn acquire_in_transaction(&self, wire: &mut impl Wire) -> Result<(), Error> {
        let attempt = self.attempt();
        attempt.end(self.ask_in_transaction(wire).await)
    }

    fn subject(&self) -> Subject {
        Subject::advisory(&self.id, self.label, self.mode)
    }

    fn attempt(&self) -> Attempt {
        Attempt::begin(self.subject(), self.skips)
    }

    async fn ask_in_session(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_session(wire, self.key, self.mode, self.wait, None).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy if telemetry::asks_for_holder(self.skips) => {
                Err(self.busy(protocol::holder(wire, self.key).await))
            }
            Outcome::Busy => Err(self.busy(None)),
            Outcome::InTransaction => Err(Error::inside_a_transaction(&self.id)),
            Outcome::Failed(failure) => Err(Error::not_acquired(&self.id, failure)),
            Outcome::Doubtful(failure) => {
                // The session may hold the lock, and nobody can tell: only its end is certain to release it.
                let _ = wire.simple_query(sql::TERMINATE_OWN_SESSION).await;
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    async fn ask_in_transaction(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_in_transaction(wire, self.key, self.mode, self.wait).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy if telemetry::asks_for_holder(self.skips) => {
                Err(self.busy(protocol::holder_in_transaction(wire, self.key).await))
            }
            Outcome::Busy => Err(self.busy(None)),
            Outcome::InTransaction => Err(Error::in_aborted_transaction(&self.id)),
            Outcome::Failed(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
                Err(Error::outside_a_transaction(&self.id, failure))
            }
            Outcome::Failed(failure) | Outcome::Doubtful(failure) => {
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    fn busy(&self, holder: Option<Holder>) -> Error {
        Error::busy(&self.id, self.wait.bound(), holder, SKIP)
    }
}

/// A lock that is held on a connection.
#[derive(Debug)]
pub(crate) struct Taken {
    asked: Asked,
    // Boxed, since the future of each annotated function has room for it.
    holding: Box<Holding>,
}

impl Taken {
    pub(crate) fn id(&self) -> &LockId {
        &self.asked.id
    }

    /// `Lost` when its connection is closed.
    pub(crate) fn closed_is_lost(&self, is_closed: bool) -> Result<(), Error> {
        if is_closed {
            return Err(Error::lost(self.id(), "its connection is closed"));
        }
        Ok(())
    }

    /// What the body under the lock runs in.
    pub(crate) fn inside(&self) -> InHold {
        self.holding.inside()
    }

    pub(crate) fn release(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        block_on(self.release_session(&mut BlockingWire(connection)))
    }

    /// Dropped before it is done, it may have released or not: [`queue_release`](Taken::queue_release) sees to it.
    pub(crate) async fn release_async(
        &self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        self.release_session(&mut AsyncWire(connection)).await
    }

    async fn release_session(&self, wire: &mut impl Wire) -> Result<(), Error> {
        let released = self.ask_for_release(wire).await;
        self.holding.released(&released);
        released
    }

    async fn ask_for_release(&self, wire: &mut impl Wire) -> Result<(), Error> {
        let Asked {
            id,
            key,
            mode,
            process,
            note,
            ..
        } = &self.asked;
        if *process != std::process::id() {
            return Err(Error::lost_to_fork(id));
        }
        let released = protocol::release_session(wire, *key, *mode, Some(*note)).await;
        if let Released::Failed(failure) = &released
            && !failure.session_ended
        {
            // It may be held still, and only the session's end is certain to release it.
            let _ = wire.simple_query(sql::TERMINATE_OWN_SESSION).await;
        }
        protocol::explain_release(id, released)
    }

    /// Queues all that a release takes, at once: nothing after this depends on the caller.
    pub(crate) fn queue_release(&self, connection: &mut (impl Async + ?Sized)) {
        let Asked {
            key,
            mode,
            process,
            note,
            ..
        } = &self.asked;
        if *process != std::process::id() {
            return;
        }
        let is_closed = connection.is_closed();
        for sql in sql::END_ANY_TRANSACTION {
            connection.queue(sql);
        }
        connection.queue(&sql::release_unless_noted(*key, *mode, *note));
        // Nobody waits for the answer.
        self.holding.released(&self.closed_is_lost(is_closed));
    }
}
