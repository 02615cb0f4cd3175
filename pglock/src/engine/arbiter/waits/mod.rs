//! Waits for a lock in the server, as the ledger orders them.

pub(super) mod active;
mod cycle;
mod deadlocks;
mod held_up;
mod markers;
mod statement;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::error::SqlState;

use super::cause::Cause;
use super::{Arbiter, Book};
use crate::engine::ledger::{RequestId, SessionId, WaitAnswer, WaitOrder};
use crate::engine::lock::DatabaseLock;
use crate::engine::pool::{DIED_WHILE_IDLE, Lease};
use crate::engine::register::Entries;
use crate::engine::session::{NoSession, Session};
use crate::model::lock_id::Key;
use crate::model::options::{Scope, WaitPolicy};
use crate::telemetry::SessionRole;
use crate::wire::protocol::AcquireOutcome;
use active::ActiveWait;

/// How soon it is tried again to open a session for waits, after that failed.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// What is asked for in the server.
pub(super) struct WaitRequest {
    pub(super) lock: DatabaseLock,
    pub(super) wait: WaitPolicy,
}

impl Book {
    /// Brings the sections up to date for which a key is waited for.
    pub(super) fn note_sections(&self, key: Key, entries: &Entries) {
        let Some(active) = self.waits.get(&key) else {
            return;
        };
        let queue = entries.ledger.queue(key);
        let requests = queue.filter_map(|id| self.waiting.get(&id));
        let sections = requests.flat_map(|waiting| waiting.request.sections.iter().copied());
        active.sections.replace(sections.collect());
    }
}

/// How a wait ended.
pub(super) enum WaitEnd {
    Answered(WaitAnswer, Option<Cause>),
    /// The timeout of the request whose own session it is ended the wait in the server.
    TimedOut(RequestId),
    /// Its session was closed, since its state is not known.
    Closed(WaitAnswer, Cause),
    SessionEnded(Cause),
}

impl Arbiter {
    pub(super) async fn wait(self: Rc<Self>, order: WaitOrder, active: Rc<ActiveWait>) {
        self.begin_wait(&order, &active).await;
        // Another one for this key may have been ordered since.
        let waits = &mut self.book.borrow_mut().waits;
        let known = waits.get(&order.key);
        if known.is_some_and(|known| Rc::ptr_eq(known, &active)) {
            waits.remove(&order.key);
        }
    }

    async fn begin_wait(self: &Rc<Self>, order: &WaitOrder, active: &ActiveWait) {
        self.book
            .borrow()
            .note_sections(order.key, &self.register());
        let Some(request) = self.wait_request(order) else {
            // Nobody wants it any more.
            self.wait_answered(order, WaitAnswer::Canceled, None);
            return;
        };
        if let Some(id) = order.session {
            // One that has ended meanwhile has taken the order with it.
            if let Some(session) = self.session(id) {
                let lease = Lease::new(&self.pool, session, false);
                self.wait_on(order, id, lease, request, active).await;
            }
            return;
        }
        let opened = self.session_to_wait_on(order, &request, &active.cancel);
        let Some(lease) = opened.await else {
            return;
        };
        let id = self.register().ledger.wait_opened(order.key);
        if let Some(id) = id {
            let ours = lease.again();
            lease.session().is_for(role(order));
            self.adopt(id, lease, None);
            self.wait_on(order, id, ours, request, active).await;
        }
    }

    async fn wait_on(
        self: &Rc<Self>,
        order: &WaitOrder,
        id: SessionId,
        mut lease: Lease,
        request: WaitRequest,
        active: &ActiveWait,
    ) {
        if order.own.is_some() && self.register().ledger.locks() >= lease.session().lock_table() / 2
        {
            // A full lock table stops the server for everybody: statements that have nothing to do with pglock fail.
            self.wait_answered(order, WaitAnswer::Failed, Some(&Cause::LockTable));
            return;
        }
        let began = Instant::now();
        let mut end = self.converse_wait(order, &lease, &request, active).await;
        if let WaitEnd::SessionEnded(_) = end
            && lease.was_idle()
            && began.elapsed() < DIED_WHILE_IDLE
            && self.is_open(id, lease.session())
        {
            let replacement = self.pool.replacement(request.lock.scope).await;
            if !self.is_open(id, lease.session()) {
                // The end of the first has been noticed meanwhile: the ledger has ordered another wait, or wants none.
                return;
            }
            match replacement {
                Ok(new) => {
                    lease = new.again();
                    new.session().is_for(role(order));
                    self.adopt(id, new, None);
                    end = self.converse_wait(order, &lease, &request, active).await;
                }
                Err(why) => {
                    self.no_wait_session(order, why);
                    return;
                }
            }
        }
        let session = Rc::clone(lease.session());
        drop(lease);
        if !self.is_open(id, &session) {
            return;
        }
        match end {
            WaitEnd::Answered(answer, cause) => self.wait_answered(order, answer, cause.as_ref()),
            WaitEnd::TimedOut(own) => {
                self.register().ledger.withdraw(own);
                let busy = self.take(own);
                self.wait_answered(order, WaitAnswer::Canceled, None);
                self.tell_busy(busy.into_iter().collect());
            }
            WaitEnd::Closed(answer, cause) => {
                self.wait_answered(order, answer, Some(&cause));
                // Before its next wait begins, which may have been ordered.
                self.end_session(id, &session, true, &cause);
            }
            WaitEnd::SessionEnded(cause) => {
                // Where the network is silent or broken, the next session would be so too.
                let ask_again = order.own.is_none() && cause.is_of_server();
                self.end_session(id, &session, ask_again, &cause);
            }
        }
    }

    fn wait_answered(
        self: &Rc<Self>,
        order: &WaitOrder,
        answer: WaitAnswer,
        cause: Option<&Cause>,
    ) {
        {
            let ledger = &mut self.register().ledger;
            ledger.wait_answered(order.key, answer);
            let sessions = &mut self.book.borrow_mut().sessions;
            sessions.retain(|id, _| ledger.has_session(*id));
        }
        self.settle(cause);
    }

    /// The lock that is waited for, in the name of the first who waits for it.
    fn wait_request(&self, order: &WaitOrder) -> Option<WaitRequest> {
        let (book, entries) = (self.book.borrow(), self.register());
        let queue = entries.ledger.queue(order.key);
        let mut requests = order.own.into_iter().chain(queue);
        let first = requests.find_map(|request| book.waiting.get(&request))?;
        let mut lock = first.request.lock.clone();
        lock.spec.mode = order.mode;
        let wait = if order.own.is_some() {
            first.request.wait
        } else {
            lock.scope = Scope::Session;
            WaitPolicy::Block
        };
        Some(WaitRequest { lock, wait })
    }

    async fn session_to_wait_on(
        self: &Rc<Self>,
        order: &WaitOrder,
        request: &WaitRequest,
        cancel: &Notify,
    ) -> Option<Lease> {
        let Some(own) = order.own else {
            return match self.pool.session_for_many().await {
                Ok(lease) => Some(lease),
                Err(why) => {
                    self.no_wait_session(order, why);
                    None
                }
            };
        };
        let paused = self.pause_deadline(own);
        let until = paused.left.map(|left| Instant::now() + left);
        let scope = request.lock.scope;
        let supply = self
            .pool
            .session_for_one(scope, paused.asked, until, paused.is_nested);
        tokio::select! {
            supplied = supply => match supplied {
                Ok(supplied) => {
                    self.shorten_deadline(own, supplied.held_up);
                    Some(supplied.lease)
                }
                Err(why) => {
                    self.no_wait_session(order, why);
                    None
                }
            },
            () = cancel.notified() => {
                self.wait_answered(order, WaitAnswer::NoSession, None);
                None
            }
        }
    }

    /// None could be opened: for a while none is ordered for the waits of many callers.
    fn no_wait_session(self: &Rc<Self>, order: &WaitOrder, why: NoSession) {
        if order.own.is_none() {
            self.no_wait_session.replace(Some(why.clone()));
            let arbiter = Rc::clone(self);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(OPEN_AGAIN).await;
                arbiter.no_wait_session.take();
                arbiter.register().ledger.retry_wait_sessions();
                arbiter.settle(None);
            });
        }
        self.wait_answered(order, WaitAnswer::NoSession, Some(&Cause::NoSession(why)));
    }

    pub(super) fn wait_end(
        &self,
        order: &WaitOrder,
        session: &Rc<Session>,
        outcome: AcquireOutcome,
        is_canceled: bool,
    ) -> WaitEnd {
        let answered = |answer| WaitEnd::Answered(answer, None);
        match outcome {
            AcquireOutcome::Granted => answered(WaitAnswer::Granted),
            AcquireOutcome::Busy => match order.own {
                Some(own) if !order.no_wait => WaitEnd::TimedOut(own),
                _ => answered(WaitAnswer::Busy),
            },
            AcquireOutcome::WrongBackend | AcquireOutcome::InTransaction => {
                self.pool.close_wrong_backend(session);
                WaitEnd::Closed(WaitAnswer::Failed, Cause::Pooler)
            }
            AcquireOutcome::Broken(failure) => {
                self.pool.close_broken(session, order.key);
                let answer = if is_canceled {
                    WaitAnswer::Canceled
                } else {
                    WaitAnswer::Failed
                };
                WaitEnd::Closed(answer, Cause::Failed(failure))
            }
            AcquireOutcome::Failed(failure) => {
                let answer = if is_canceled && failure.is(&SqlState::QUERY_CANCELED) {
                    WaitAnswer::Canceled
                } else if failure.is(&SqlState::T_R_DEADLOCK_DETECTED) {
                    WaitAnswer::Deadlock
                } else {
                    WaitAnswer::Failed
                };
                WaitEnd::Answered(answer, Some(Cause::Failed(failure)))
            }
        }
    }
}

/// What a session that is opened for a wait is for.
fn role(order: &WaitOrder) -> SessionRole {
    match order.own {
        Some(_) => SessionRole::Own,
        None => SessionRole::Wait,
    }
}
