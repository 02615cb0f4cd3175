//! The engine's state: its pools of sessions, and the locks that each session holds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::heartbeat;
use super::ids::{HoldId, SessionState};
use super::lock::DatabaseLock;
use super::pool::{Lease, Pool};
use super::section_waits::SectionWaits;
use crate::background;
use crate::database::Database;
use crate::model::backend::Backend;
use crate::telemetry::HoldRecord;

/// How often idle sessions are checked.
const IDLE_CHECK: Duration = Duration::from_secs(2);

/// Lives on pglock's thread, so nothing here needs a lock.
pub(crate) struct State {
    pools: RefCell<Vec<Rc<Pool>>>,
    holds: RefCell<HashMap<HoldId, Entry>>,
    last_hold: Cell<u64>,
    /// Each lock that is kept after its call has a receiver; without receivers the channel counts as closed.
    kept: watch::Sender<()>,
    closes_idle_sessions: Cell<bool>,
    section_waits: SectionWaits,
}

impl Default for State {
    fn default() -> Self {
        Self {
            pools: RefCell::default(),
            holds: RefCell::default(),
            last_hold: Cell::default(),
            kept: watch::Sender::new(()),
            closes_idle_sessions: Cell::default(),
            section_waits: SectionWaits::default(),
        }
    }
}

/// A granted lock and its session, until the release begins.
pub(super) struct Entry {
    pub(super) lock: DatabaseLock,
    pub(super) lease: Lease,
}

impl State {
    /// The state that belongs to pglock's thread. To be called there only.
    pub(crate) fn here() -> Rc<Self> {
        background::service()
    }

    pub(crate) fn pool(self: &Rc<Self>, database: &Database) -> Rc<Pool> {
        if !self.closes_idle_sessions.replace(true) {
            tokio::task::spawn_local(close_idle_sessions(Rc::downgrade(self)));
        }
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.iter().find(|pool| pool.database() == database) {
            return Rc::clone(pool);
        }
        let (pool, opened) = Pool::new(database.clone());
        tokio::task::spawn_local(heartbeat::keep_all(
            Rc::downgrade(&pool),
            opened,
            database.liveness(),
        ));
        pools.push(Rc::clone(&pool));
        pool
    }

    /// The backends of all of pglock's own sessions.
    pub(crate) fn backends(&self) -> Vec<Backend> {
        let pools = self.pools.borrow();
        pools.iter().flat_map(|pool| pool.backends()).collect()
    }

    pub(crate) fn section_waits(&self) -> &SectionWaits {
        &self.section_waits
    }

    /// Registers a lock that was granted on the session of `lease`.
    pub(super) fn add(&self, lock: DatabaseLock, record: &Arc<HoldRecord>, lease: Lease) -> HoldId {
        let id = HoldId(self.last_hold.get() + 1);
        self.last_hold.set(id.0);
        let session = lease.session();
        session.held_locks().add(id, &lock, Arc::clone(record));
        if let SessionState::Closed { reason } = &*session.state().borrow() {
            // It ended before the lock was in its list, so nothing else reports the loss.
            record.lost(reason);
        }
        self.holds.borrow_mut().insert(id, Entry { lock, lease });
        id
    }

    /// Calls `f` with a lock whose release has not begun.
    pub(super) fn with_held<T>(&self, id: HoldId, f: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.holds.borrow().get(&id).map(f)
    }

    /// Removes a lock whose release begins.
    pub(super) fn remove(&self, id: HoldId) -> Option<Entry> {
        self.holds.borrow_mut().remove(&id)
    }

    /// Counts a lock as kept until the receiver is dropped.
    pub(super) fn keep(&self) -> watch::Receiver<()> {
        self.kept.subscribe()
    }

    /// Waits until no lock is kept.
    pub(super) async fn nothing_kept(&self) {
        self.kept.closed().await;
    }
}

async fn close_idle_sessions(state: Weak<State>) {
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        let Some(state) = state.upgrade() else {
            return;
        };
        state.pools.borrow_mut().retain(|pool| {
            pool.close_idle();
            // An empty pool that nothing else uses can be created again when it is needed.
            Rc::strong_count(pool) > 1 || !pool.is_empty()
        });
    }
}
