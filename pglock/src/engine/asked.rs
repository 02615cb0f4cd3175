//! A request that pglock's thread has, from its caller's side.

use tokio::sync::oneshot;

use super::borrow::handed_back::Reply;
use super::hold::HeldLock;
use super::ids::Ticket;
use super::request::Request;
use super::state::State;
use crate::background;
use crate::error::Error;
use crate::model::lock_id::LockId;

/// Dropping it withdraws the request, and cancels its wait in the server.
pub(super) struct Asked {
    lock_id: LockId,
    answer: oneshot::Receiver<Result<HeldLock, Error>>,
    unanswered: Unanswered,
}

impl Asked {
    /// Sends a request to pglock's thread.
    pub(super) fn send(request: Request) -> Result<Self, Error> {
        let (asked, ticket, reply) = Self::new(request.lock.id.clone());
        background::run(move || {
            let arbiter = State::here().arbiter(&request.lock.database);
            arbiter.ask(ticket, request, reply);
        })?;
        Ok(asked)
    }

    /// What is to be sent with the request.
    pub(super) fn new(lock_id: LockId) -> (Self, Ticket, Reply) {
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::next();
        let asked = Self {
            lock_id,
            answer,
            unanswered: Unanswered(Some(ticket)),
        };
        (asked, ticket, reply)
    }

    pub(super) async fn answer(mut self) -> Result<HeldLock, Error> {
        let answer = self.answer.await;
        self.unanswered.0 = None;
        answer.unwrap_or_else(|_| Err(Error::engine_ended(&self.lock_id)))
    }
}

/// Withdraws a request whose caller goes away before the answer.
struct Unanswered(Option<Ticket>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(ticket) = self.0
            && let Some(thread) = background::running()
        {
            thread.run(move || State::here().forget(ticket));
        }
    }
}
