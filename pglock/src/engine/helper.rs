//! The helper session: what is asked and done for another session of ours, or for a lock, from outside.

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
    /// Cancels what waits on backend `pid` for this lock, from a session beside.
    pub(super) fn cancel_waiter(
        self: &Rc<Self>,
        pid: i32,
        lock: DatabaseLock,
    ) -> impl Future<Output = ()> + use<> {
        let pool = Rc::clone(self);
        async move {
            let cancel = sql::cancel::cancel_waiter(pid, lock.key);
            // Without a session beside, the wait is seen to go on, and its socket is closed.
            let _ = pool.on_helper(&lock, &cancel).await;
        }
    }

    /// Ends the session of `lock` that we closed, if the server hasn't noticed yet, from a session beside.
    pub(super) async fn terminate(self: Rc<Self>, backend: Backend, lock: DatabaseLock) {
        // Without a session beside, the server looks for its client by itself.
        let _ = self
            .on_helper(&lock, &sql::cancel::terminate(backend, lock.key))
            .await;
    }

    /// Who has the lock, asked on a session beside. `Ok(None)` also where there is no time to ask.
    ///
    /// # Errors
    ///
    /// When there is no session to the database.
    pub(super) async fn holder(
        self: &Rc<Self>,
        lock: &DatabaseLock,
    ) -> Result<Option<Holder>, Error> {
        let who = sql::holder::holder(lock.key);
        let asked = self.on_helper(lock, &who);
        match tokio::time::timeout(HOLDER_BOUND, asked).await {
            Ok(rows) => {
                let holder = rows?.as_ref().and_then(reply::of_holder);
                Ok(holder.map(|holder| self.recognize(holder)))
            }
            // Many ask at once; the server was there a moment ago.
            Err(_) if self.answered_recently() => Ok(None),
            Err(_) => Err(Error::connect_timeout(
                lock,
                &self.database().place(),
                HOLDER_BOUND,
            )),
        }
    }

    /// Whether the server is there, asked on a session beside: once for all who want to know.
    pub(super) async fn ping(self: &Rc<Self>, liveness: Liveness) -> bool {
        let answered_since = |bound: Duration| {
            let answered = self.helper_answered.get();
            answered.is_some_and(|answered| answered.elapsed() < bound)
        };
        if answered_since(liveness.interval()) {
            return true;
        }
        let opened_for = "the heartbeat of sessions that wait";
        // An error is an answer too: of the server, or of the kernel of its host.
        let asked = self.on_helper(&opened_for, "");
        let answered = match within(liveness.answer(), asked).await {
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

    /// Runs a statement on a session beside: its rows, or nothing where it failed.
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

    /// Closes a session whose state nobody knows, and has the server end it.
    pub(super) fn close_broken(&self, lock: &DatabaseLock) {
        // A session that is over needs no end, nor does one that is given up, whose other holders may not have stopped.
        if !self.session().is_usable() {
            return;
        }
        let grace = if self.session().held_locks().is_empty() {
            self.session().close_now();
            Duration::ZERO
        } else {
            // Calls around have locks on it, and stop first.
            let grace = self.pool().database().liveness().grace();
            self.session().give_up(BROKEN, grace);
            grace
        };
        // Behind a pooler the backend may be another client's by now.
        if self.session().scope() == Scope::Transaction {
            return;
        }
        let terminate = Rc::clone(self.pool()).terminate(self.session().backend(), lock.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(grace).await;
            terminate.await;
        });
    }

    /// Closes a session that a pooler has moved to another backend. What it holds stays with the one that it had.
    pub(super) fn close_wrong_backend(&self, asked: &DatabaseLock) {
        let session = self.session();
        session.close_now();
        for key in session.held_locks().keys() {
            let mut lock = asked.clone();
            lock.spec.key = key;
            tokio::task::spawn_local(Rc::clone(self.pool()).terminate(session.backend(), lock));
        }
    }
}

/// Closes the session beside when its conversation is dropped half-way: its answer would be taken for the next one's.
struct CloseUnlessDone<'l>(Option<&'l Lease>);

impl Drop for CloseUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0 {
            lease.session().close_now();
        }
    }
}
