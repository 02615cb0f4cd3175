//! What is done on the helper session: other sessions are canceled and terminated, holders are looked up.

use std::rc::Rc;
use std::time::Duration;

use super::lock::DatabaseLock;
use super::pool::Pool;
use super::session::{BROKEN, Session};
use crate::error::{Error, Found};
use crate::model::backend::Backend;
use crate::model::lock_id::Key;
use crate::model::lock_request::LockSpec;
use crate::model::options::Scope;
use crate::model::permits::Permits;
use crate::sql;
use crate::sql::shared::deadlock::DeadlockEdge;
use crate::sql::shared::permits::OtherNumber;
use crate::wire::reply;

/// How long a caller that gives up waits for the name of the holder.
const HOLDER_BOUND: Duration = Duration::from_secs(1);

impl Pool {
    /// Cancels the wait of backend `pid` for this key.
    pub(super) fn cancel_waiter(
        self: &Rc<Self>,
        pid: i32,
        key: Key,
    ) -> impl Future<Output = ()> + use<> {
        let pool = Rc::clone(self);
        async move {
            let cancel = sql::cancel::cancel_waiter(pid, key);
            // If this fails, the wait goes on, and the caller of this closes its socket after a bound.
            let _ = pool.on_helper(&"the cancel of a wait", cancel).await;
        }
    }

    /// Cancels what a session does now, where the helper session cannot do it.
    pub(super) async fn request_cancel(&self, session: &Session) {
        // Never closed. Each request is a process of the server's for a moment.
        let _a_few_at_a_time = self.cancel_requests.acquire().await;
        session.request_cancel(self.database()).await;
    }

    /// Ends the backend of a session that we closed, if the server has not noticed that yet.
    async fn terminate(self: Rc<Self>, backend: Backend, key: Key) {
        let terminate = sql::cancel::terminate(backend, key);
        // If this fails, the server notices the closed socket by itself, only later.
        let _ = self
            .on_helper(&"the end of a closed session", terminate)
            .await;
    }

    /// Closes a session whose state is not known, and has the server terminate it. `key`: a lock that it may have.
    pub(super) fn close_broken(self: &Rc<Self>, session: &Session, key: Key) {
        // A closed session needs nothing. One that was given up keeps its grace: its other holders may not have stopped
        // yet.
        if !session.is_usable() {
            return;
        }
        let mut keys = session.held_locks().keys();
        let grace = if keys.is_empty() {
            session.close_now();
            Duration::ZERO
        } else {
            // They must stop first.
            let grace = self.database().liveness().grace();
            session.give_up(BROKEN, grace);
            grace
        };
        // Behind a pooler the backend may belong to another client by now.
        if session.scope() == Scope::Transaction {
            return;
        }
        let key = keys.pop().unwrap_or(key);
        let terminate = Rc::clone(self).terminate(session.backend(), key);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(grace).await;
            terminate.await;
        });
    }

    /// Closes a session that a pooler has moved to another backend. The one before still holds its locks, so it is
    /// terminated for one of them.
    pub(super) fn close_wrong_backend(self: &Rc<Self>, session: &Session) {
        session.close_now();
        if let Some(key) = session.held_locks().keys().pop() {
            tokio::task::spawn_local(Rc::clone(self).terminate(session.backend(), key));
        }
    }

    /// A session that has a permit of a limit of the same name, but of another number of permits.
    pub(super) async fn other_number(
        self: &Rc<Self>,
        limit: &LockSpec,
        permits: Permits,
    ) -> Result<Option<OtherNumber>, Error> {
        let look = sql::shared::permits::other_number(limit, permits);
        let rows = self
            .on_helper(&format_args!("limit {}", limit.id), look)
            .await?;
        Ok(rows
            .as_ref()
            .and_then(sql::shared::permits::read_other_number))
    }

    /// How many of these locks some session has.
    pub(super) async fn count_held(self: &Rc<Self>, keys: &[Key]) -> Option<usize> {
        let count = sql::shared::permits::count_held(keys);
        let rows = self.on_helper(&"the count of permits", count).await;
        rows.ok().flatten()?.first_row()?.parsed(0)
    }

    /// How many sessions wait for a key.
    pub(super) async fn count_waiters(self: &Rc<Self>, key: Key) -> usize {
        let count = sql::shared::waits::count(key);
        let rows = self.on_helper(&"the count of waiters", count).await;
        let rows = rows.ok().flatten();
        rows.and_then(|rows| rows.first_row()?.parsed(0))
            .unwrap_or(0)
    }

    /// Those of the backends for whose statements others wait until they end.
    pub(super) async fn held_up_by(self: &Rc<Self>, pids: &[i32]) -> Vec<i32> {
        let held_up = sql::shared::waits::held_up_by(pids);
        let rows = self.on_helper(&"the search for waiting statements", held_up);
        let rows = rows.await.ok().flatten().unwrap_or_default();
        rows.iter().filter_map(|row| row.parsed(0)).collect()
    }

    /// Who waits for whom, as far as it can be followed from a backend.
    pub(super) async fn edges(self: &Rc<Self>, waiter: i32) -> Option<Vec<DeadlockEdge>> {
        let edges = sql::shared::deadlock::edges(waiter);
        let rows = self.on_helper(&"the search for deadlocks", edges).await;
        Some(sql::shared::deadlock::read_edges(&rows.ok()??))
    }

    /// Who blocks the lock; unknown if there was no time to ask.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached.
    pub(super) async fn holder(self: &Rc<Self>, lock: &DatabaseLock) -> Result<Found, Error> {
        let query = self.on_helper(lock, sql::holder::holder(lock.key, lock.mode));
        match tokio::time::timeout(HOLDER_BOUND, query).await {
            Ok(rows) => {
                let found = rows?.map(|rows| reply::of_holder(&rows, Some(lock.key)));
                Ok(match found.unwrap_or_default() {
                    Found::Holder(holder) => Found::Holder(self.recognize(holder)),
                    found => found,
                })
            }
            // Many callers queue for the helper session, and the server answered a moment ago.
            Err(_) if self.helper_answered_recently() => Ok(Found::Unknown),
            Err(_) => Err(Error::connect_timeout(
                lock,
                &self.database().place(),
                HOLDER_BOUND,
            )),
        }
    }
}
