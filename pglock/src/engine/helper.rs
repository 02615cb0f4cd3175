//! What is done on the helper session: other sessions are canceled and terminated, holders are looked up.

use std::rc::Rc;
use std::time::Duration;

use super::lock::DatabaseLock;
use super::pool::{Lease, Pool};
use super::session::{BROKEN, Session};
use crate::error::{Error, Holder};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql;
use crate::wire::protocol;
use crate::wire::reply;

/// How long a caller that gives up waits for the name of the holder.
const HOLDER_BOUND: Duration = Duration::from_secs(1);

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
            let _ = pool.on_helper(&lock, cancel).await;
        }
    }

    /// Cancels what a session does now, where the helper session cannot do it.
    pub(super) async fn request_cancel(&self, session: &Session) {
        // Never closed. Each request is a process of the server's for a moment.
        let _a_few_at_a_time = self.cancel_requests.acquire().await;
        session.request_cancel(self.database()).await;
    }

    /// Ends the backend of a session that we closed, if the server has not noticed that yet.
    pub(super) async fn terminate(self: Rc<Self>, backend: Backend, lock: DatabaseLock) {
        // If this fails, the server notices the closed socket by itself, only later.
        let _ = self
            .on_helper(&lock, sql::cancel::terminate(backend, lock.key))
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
        let query = self.on_helper(lock, sql::holder::holder(lock.key));
        match tokio::time::timeout(HOLDER_BOUND, query).await {
            Ok(rows) => {
                let holder = rows?.and_then(|rows| reply::of_holder(&rows, Some(lock.key)));
                Ok(holder.map(|holder| self.recognize(holder)))
            }
            // Many callers queue for the helper session, and the server answered a moment ago.
            Err(_) if self.helper_answered_recently() => Ok(None),
            Err(_) => Err(Error::connect_timeout(
                lock,
                &self.database().place(),
                HOLDER_BOUND,
            )),
        }
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
