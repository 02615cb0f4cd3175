//! Loans of shared sessions, as far as pglock's thread has to do with them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Arbiter;
use super::batches::SentBatch;
use crate::engine::borrow::handed_back::{Asks, HandedBack};
use crate::engine::heartbeat;
use crate::engine::ledger::SessionId;
use crate::engine::session::Begun;
use crate::engine::session::answer::answered;
use crate::error::{Error, Failure};

/// How often it is looked whether a session is still being lent. Its end is noticed that much later.
const LOOK: Duration = Duration::from_millis(10);

impl Arbiter {
    /// Waits for the session's socket again once nobody has borrowed it for a moment.
    pub(in crate::engine) fn watch_loans(self: &Rc<Self>, id: SessionId) {
        let Some(session) = self.session(id) else {
            return;
        };
        if !session.begin_watching_loans() {
            return;
        }
        let (session, arbiter) = (Rc::downgrade(&session), Rc::downgrade(self));
        tokio::task::spawn_local(async move {
            let mut seen = None;
            loop {
                tokio::time::sleep(LOOK).await;
                let (Some(session), Some(arbiter)) = (session.upgrade(), arbiter.upgrade()) else {
                    return;
                };
                let loans = session.link().loans();
                if seen.replace(loans) != Some(loans) {
                    continue;
                }
                let Some(exclusive) = session.try_exclusive() else {
                    continue;
                };
                session.end_watching_loans();
                drop(exclusive);
                if !session.held_locks().is_empty() {
                    heartbeat::name_locks_soon(&session, arbiter.pool.database().liveness());
                }
                return;
            }
        });
    }

    /// Carries out what a borrower has read from the ledger that was not for itself.
    pub(in crate::engine) fn settle_left_over(self: &Rc<Self>) {
        self.settle(None);
    }

    /// Brings a borrower's batch to its end.
    pub(in crate::engine) fn take_over(self: &Rc<Self>, handed_back: HandedBack) {
        let HandedBack {
            session: id,
            permit,
            ops,
            begun,
            asks,
        } = handed_back;
        if let Some(asks) = asks {
            self.take_over_request(asks);
        }
        let Some(session) = self.session(id) else {
            return;
        };
        let arbiter = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let exclusive = session.exclusive_of_borrower(permit);
            let began = Instant::now();
            let done = match begun {
                Begun::Done(done) => Some(done),
                Begun::Unfinished(batch) => {
                    answered(&session, arbiter.pool.database().liveness(), batch).await
                }
            };
            let (answers, end) = match done {
                Some(done) => (done.answers, Some(done.end)),
                None => (Vec::new(), None),
            };
            let sent = SentBatch { id, ops, began };
            arbiter
                .end_batch(&session, exclusive, sent, answers, end)
                .await;
        });
    }

    /// Answers a borrower, as soon as the ledger does.
    pub(in crate::engine) fn take_over_request(self: &Rc<Self>, asks: Asks) {
        let Asks {
            id,
            ticket,
            request,
            reply,
        } = asks;
        self.admit(id, ticket, request, reply);
        let effect = self.register().end_loan(id);
        self.tell(effect.into_iter().collect(), None);
        self.settle(None);
        if self.register().ledger.waits_for(id).is_none()
            && let Some(waiting) = self.take(id)
        {
            // Its session has ended meanwhile, and nobody was there to be told.
            let failure = Failure::session_ended();
            let error = Error::not_acquired(&waiting.request.lock.id, failure);
            drop(waiting.reply.send(Err(error)));
        }
    }
}
