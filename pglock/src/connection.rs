//! Locks on a connection of the caller's: taking them, and giving them back whatever happens.

use tokio_postgres::error::SqlState;

use crate::Error;
use crate::drivers::sealed::{Async, Blocking};
use crate::drivers::{Answer, BlockingWire, CancelOnDrop};
use crate::error::SKIP;
use crate::key::{Key, LockId};
use crate::options::{Mode, Wait};
use crate::outcome::{self, Released};
use crate::park::block_on;
use crate::protocol::{self, Outcome};
use crate::sql;
use crate::wire::{Failure, Wire};

/// A lock that is asked for on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: LockId,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) wait: Wait,
    pub(crate) describe_holder: bool,
    /// After a fork, the child has only a copy of this, and of the socket.
    pub(crate) process: u32,
}

impl Asked {
    pub(crate) fn acquire(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        block_on(self.acquire_session(&mut BlockingWire(connection)))
    }

    pub(crate) fn acquire_xact(
        &self,
        transaction: &mut (impl Blocking + ?Sized),
    ) -> Result<(), Error> {
        block_on(self.acquire_in_transaction(&mut BlockingWire(transaction)))
    }

    pub(crate) fn release(&self, connection: &mut (impl Blocking + ?Sized)) -> Result<(), Error> {
        if self.process != std::process::id() {
            return Err(Error::lost_to_fork(&self.id));
        }
        let released = block_on(protocol::release_session(
            &mut BlockingWire(connection),
            self.key,
            self.mode,
        ));
        if let Released::Failed(failure) = &released
            && !failure.session_ended
        {
            // It may be held still, and only the session's end is certain to release it.
            let _ = connection.simple_query(sql::TERMINATE_OWN_SESSION);
        }
        protocol::explain_release(&self.id, released)
    }

    pub(crate) async fn acquire_async(
        &self,
        connection: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        let leftover = sql::release_leftover(self.key, self.mode);
        let mut wire = CancelOnDrop::in_session(connection, self.wait != Wait::Try, leftover);
        self.acquire_session(&mut wire).await
    }

    pub(crate) async fn acquire_xact_async(
        &self,
        transaction: &mut (impl Async + ?Sized),
    ) -> Result<(), Error> {
        let mut wire = CancelOnDrop::in_transaction(transaction, self.wait != Wait::Try);
        self.acquire_in_transaction(&mut wire).await
    }

    async fn acquire_session(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_session(wire, self.key, self.mode, self.wait).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy => Err(self.busy(wire).await),
            Outcome::InTransaction => Err(Error::inside_a_transaction(&self.id)),
            Outcome::Failed(failure) => Err(Error::not_acquired(&self.id, failure)),
            Outcome::Doubtful(failure) => {
                // The session may hold the lock, and nobody can tell: only its end is certain to release it.
                let _ = wire.simple_query(sql::TERMINATE_OWN_SESSION).await;
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    async fn acquire_in_transaction(&self, wire: &mut impl Wire) -> Result<(), Error> {
        match protocol::acquire_in_transaction(wire, self.key, self.mode, self.wait).await {
            Outcome::Granted => Ok(()),
            Outcome::Busy => Err(self.busy(wire).await),
            Outcome::InTransaction => Err(Error::in_aborted_transaction(&self.id)),
            Outcome::Failed(failure) if failure.is(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => {
                Err(Error::outside_a_transaction(&self.id, failure))
            }
            Outcome::Failed(failure) | Outcome::Doubtful(failure) => {
                Err(Error::not_acquired(&self.id, failure))
            }
        }
    }

    async fn busy(&self, wire: &mut impl Wire) -> Error {
        let holder = if self.describe_holder {
            protocol::holder(wire, self.key).await
        } else {
            None
        };
        Error::busy(&self.id, self.wait, holder, SKIP)
    }

    /// Sends all that a release takes, at once: nothing after this depends on the caller.
    pub(crate) fn send_release<'c, C: Async + ?Sized>(
        &self,
        connection: &'c C,
    ) -> Option<SentRelease<'c, C>> {
        if self.process != std::process::id() {
            return None;
        }
        let left_open = connection.send(sql::IS_IN_TRANSACTION);
        for sql in sql::END_ANY_TRANSACTION {
            // What can't be sent is known by the release, which can't be sent either.
            drop(connection.send(sql));
        }
        let release = connection.send(&sql::release_session_anywhere(self.key, self.mode));
        Some(SentRelease {
            connection,
            left_open,
            release,
        })
    }

    /// Releases and waits for the server's word.
    pub(crate) async fn release_async(
        &self,
        connection: &(impl Async + ?Sized),
    ) -> Result<(), Error> {
        match self.send_release(connection) {
            Some(sent) => protocol::explain_release(&self.id, sent.confirmed().await),
            None => Err(Error::lost_to_fork(&self.id)),
        }
    }
}

/// A release that is on its way.
pub(crate) struct SentRelease<'c, C: Async + ?Sized> {
    connection: &'c C,
    /// Whether a transaction was open before; an error where it was aborted.
    left_open: Result<Answer, Failure>,
    release: Result<Answer, Failure>,
}

impl<C: Async + ?Sized> SentRelease<'_, C> {
    async fn confirmed(self) -> Released {
        let answer = match self.release {
            Ok(mut answer) => answer.rows().await,
            Err(failure) => Err(failure),
        };
        let rolled_back = match self.left_open {
            Ok(mut answer) => answer
                .rows()
                .await
                .is_ok_and(|rows| rows.last_bool() == Some(true)),
            Err(_) => false,
        };
        let released = outcome::of_release_after_rollback(rolled_back, answer);
        if let Released::Failed(failure) = &released
            && !failure.session_ended
        {
            // It may be held still, and only the session's end is certain to release it.
            drop(self.connection.send(sql::TERMINATE_OWN_SESSION));
        }
        released
    }
}
