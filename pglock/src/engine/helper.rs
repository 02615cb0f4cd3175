//! The helper session: cancels and terminates other sessions, looks up holders, and pings the server.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::lock::DatabaseLock;
use super::pool::{Lease, Pool};
use super::session::BROKEN;
use super::session::answer::{answered, within};
use crate::error::{Error, Holder};
use crate::model::backend::Backend;
use crate::model::liveness::Liveness;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql::{self, Rows};
use crate::wire::SimpleQuery;
use crate::wire::protocol;
use crate::wire::reply;

/// How long a caller that gives up waits for the name of the holder.
const HOLDER_BOUND: Duration = Duration::from_secs(1);

/// An answer this recent proves that the database is reachable.
const RECENT: Duration = Duration::from_secs(2);

impl Pool {
    /// Cancels the wait of backend `pid` for this lock.
    pub(super) fn cancel_waiter(
        self: &Rc<Self>,
        pid: i32,
        lock: DatabaseLock,
    ) -> impl Future<Output = ()> + use<> {
        let pool = Rc::clone(self);
        async move {
            let cancel = sql::cancel::cancel_waiter(pid, lock.key);
            // If this fails, the wait goes on, and the caller of this closes its socket after a bound.
            let _ = pool.on_helper(&lock, &cancel).await;
        }
    }

    /// Ends the backend of a session that we closed, if the server has not noticed that yet.
    pub(super) async fn terminate(self: Rc<Self>, backend: Backend, lock: DatabaseLock) {
        // If this fails, the server notices the closed socket by itself, only later.
        let _ = self
            .on_helper(&lock, &sql::cancel::terminate(backend, lock.key))
            .await;
    }

    /// The holder of the lock. `Ok(None)` also if there was no time to ask.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached.
    pub(super) async fn holder(
        self: &Rc<Self>,
        lock: &DatabaseLock,
    ) -> Result<Option<Holder>, Error> {
        let holder = sql::holder::holder(lock.key);
        let query = self.on_helper(lock, &holder);
        match tokio::time::timeout(HOLDER_BOUND, query).await {
            Ok(rows) => {
                let holder = rows?.as_ref().and_then(reply::of_holder);
                Ok(holder.map(|holder| self.recognize(holder)))
            }
            // Many callers queue for the helper session, and the server answered a moment ago.
            Err(_) if self.answered_recently() => Ok(None),
            Err(_) => Err(Error::connect_timeout(
                lock,
                &self.database().place(),
                HOLDER_BOUND,
            )),
        }
    }

    /// Whether the server answers. One question serves all sessions that ask within an interval.
    pub(super) async fn ping(self: &Rc<Self>, liveness: Liveness) -> bool {
        let answered_since = |bound: Duration| {
            let answered = self.helper_answered.get();
            answered.is_some_and(|answered| answered.elapsed() < bound)
        };
        if answered_since(liveness.interval()) {
            return true;
        }
        let opened_for = "the heartbeat of sessions that wait";
        // An error with a source is an answer too: from the server, or from the kernel of its host.
        let query = self.on_helper(&opened_for, "");
        let answered = match within(liveness.answer(), query).await {
            Some(Ok(_)) => true,
            Some(Err(error)) => std::error::Error::source(&error).is_some(),
            None => false,
        };
        answered || answered_since(liveness.answer())
    }

    fn answered_recently(&self) -> bool {
        self.helper_answered
            .get()
            .is_some_and(|answered| answered.elapsed() < RECENT)
    }

    /// Runs a statement on the helper session: its rows, or `None` if it failed.
    async fn on_helper(
        self: &Rc<Self>,
        opened_for: &dyn fmt::Display,
        sql: &str,
    ) -> Result<Option<Rows>, Error> {
        let _one_at_a_time = self.helper.lock().await;
        let lease = self.session(Scope::Transaction, opened_for).await?;
        let mut unfinished = CloseUnlessDone(Some(&lease));
        let rows = {
            let exclusive = lease.session().exclusive().await;
            let bounds = self.database().liveness();
            let mut wire = exclusive.wire();
            let answer = answered(lease.session(), bounds, wire.simple_query(sql)).await;
            if answer.is_none() {
                return Err(Error::connect_timeout(
                    opened_for,
                    &self.database().place(),
                    bounds.answer(),
                ));
            }
            answer.and_then(Result::ok)
        };
        unfinished.0 = None;
        self.helper_answered.set(Some(Instant::now()));
        Ok(rows)
    }
}

impl Lease {
    pub(super) async fn holder(&self, key: Key) -> Option<Holder> {
        let holder = protocol::holder(&mut self.session().exclusive().await.wire(), key).await;
        holder.map(|holder| self.pool().recognize(holder))
    }

    /// Closes a session whose state is not known, and has the server terminate it.
    pub(super) fn close_broken(&self, lock: &DatabaseLock) {
        // A closed session needs nothing. One that was given up keeps its grace: its other holders may not have stopped
        // yet.
        if !self.session().is_usable() {
            return;
        }
        let grace = if self.session().held_locks().is_empty() {
            self.session().close_now();
            Duration::ZERO
        } else {
            // Enclosing calls hold locks on it, and must stop first.
            let grace = self.pool().database().liveness().grace();
            self.session().give_up(BROKEN, grace);
            grace
        };
        // Behind a pooler the backend may belong to another client by now.
        if self.session().scope() == Scope::Transaction {
            return;
        }
        let terminate = Rc::clone(self.pool()).terminate(self.session().backend(), lock.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(grace).await;
            terminate.await;
        });
    }

    /// Closes a session that a pooler has moved to another backend. The one before still holds its locks, so it is
    /// terminated for each of them.
    pub(super) fn close_wrong_backend(&self, requested: &DatabaseLock) {
        let session = self.session();
        session.close_now();
        for key in session.held_locks().keys() {
            let mut lock = requested.clone();
            lock.spec.key = key;
            tokio::task::spawn_local(Rc::clone(self.pool()).terminate(session.backend(), lock));
        }
    }
}

/// Closes the helper session if its conversation is dropped half-way: the answer would be taken for the next one's.
struct CloseUnlessDone<'l>(Option<&'l Lease>);

impl Drop for CloseUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0 {
            lease.session().close_now();
        }
    }
}
