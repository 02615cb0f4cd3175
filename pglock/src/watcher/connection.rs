//! The watcher of one database, and its single session.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::engine::pool::{Lease, Pool};
use crate::error::{Error, Failure};
use crate::model::options::Scope;
use crate::sql::{Rows, Statement};
use crate::wire::ExtendedQuery as _;

/// What its session is opened for, in errors.
const OPENED_FOR: &str = "the watcher of prioritized sections";

/// How long a statement of the watcher may take.
const STATEMENT_BOUND: Duration = Duration::from_secs(5);

/// The watcher of all sections in one database.
pub(super) struct Watcher {
    pool: Rc<Pool>,
    is_running: Cell<bool>,
    changed: Notify,
    connection: Mutex<Option<Lease>>,
}

impl Watcher {
    pub(super) fn new(pool: &Rc<Pool>) -> Self {
        Self {
            pool: Rc::clone(pool),
            is_running: Cell::new(false),
            changed: Notify::new(),
            connection: Mutex::default(),
        }
    }

    pub(super) fn is_of(&self, pool: &Rc<Pool>) -> bool {
        Rc::ptr_eq(&self.pool, pool)
    }

    pub(super) fn sections_changed(&self) {
        self.changed.notify_one();
    }

    /// Whether the caller has to start the task that polls its sections.
    pub(super) fn start_running(&self) -> bool {
        !self.is_running.replace(true)
    }

    /// Completes when sections have begun or ended.
    pub(super) async fn until_sections_change(&self) {
        self.changed.notified().await;
    }

    /// Waits for the session and reserves it.
    pub(super) async fn checkout(&self) -> Result<Checkout<'_>, Error> {
        let mut slot = self.connection.lock().await;
        let usable = slot.take().filter(|lease| lease.session().is_usable());
        let lease = match usable {
            Some(lease) => lease,
            None => self.explain(self.pool.session(Scope::Transaction, &OPENED_FOR).await)?,
        };
        Ok(Checkout { slot, lease })
    }

    /// Runs a statement that changes nothing. It is repeated once if the session had ended before, unnoticed.
    pub(super) async fn read(&self, statement: &Statement) -> Result<Rows, Error> {
        let mut checkout = self.checkout().await?;
        match checkout.answer(statement).await? {
            Err(failure) if failure.session_ended => {
                let lease = self.pool.new_session(Scope::Transaction, &OPENED_FOR);
                checkout.lease = self.explain(lease.await)?;
                checkout.query(statement).await
            }
            answer => checkout.put_back(answer),
        }
    }

    fn explain(&self, lease: Result<Lease, Error>) -> Result<Lease, Error> {
        lease.map_err(|error| error.of_watcher(&self.pool.database().place()))
    }

    /// Returns the session to the pool, unless it is in use.
    pub(super) fn give_back_idle(&self) {
        if let Ok(mut connection) = self.connection.try_lock() {
            connection.take();
        }
    }
}

/// The watcher's session, reserved for one conversation. [`put_back`](Checkout::put_back) keeps it for the next one;
/// dropped before that, it goes back to the pool.
pub(super) struct Checkout<'w> {
    slot: MutexGuard<'w, Option<Lease>>,
    lease: Lease,
}

impl Checkout<'_> {
    pub(super) async fn query(self, statement: &Statement) -> Result<Rows, Error> {
        let answer = self.answer(statement).await?;
        self.put_back(answer)
    }

    async fn answer(&self, (sql, values): &Statement) -> Result<Result<Rows, Failure>, Error> {
        let exclusive = self.lease.session().exclusive().await;
        let mut wire = exclusive.wire();
        let answer = tokio::time::timeout(STATEMENT_BOUND, wire.query(sql, values)).await;
        answer.map_err(|_| {
            // Its answer would be taken for that of the next statement.
            self.lease.session().close_now();
            Error::watch_timeout(STATEMENT_BOUND)
        })
    }

    fn put_back(mut self, answer: Result<Rows, Failure>) -> Result<Rows, Error> {
        *self.slot = Some(self.lease);
        answer.map_err(Error::watch_failed)
    }
}
