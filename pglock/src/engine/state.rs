//! The engine's state: the arbiters of all databases.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::arbiter::{Arbiter, Arbiters};
use super::heartbeat;
use super::ids::{SessionState, Ticket};
use super::pool::Pool;
use super::section_waits::SectionWaits;
use super::session::answer::within;
use crate::background;
use crate::database::Database;
use crate::model::backend::Backend;

/// How often idle sessions are checked.
const IDLE_CHECK: Duration = Duration::from_secs(2);

/// Lives on pglock's thread, so nothing here needs a lock.
pub(crate) struct State {
    arbiters: Rc<Arbiters>,
    /// Each lock that is kept after its call has a receiver; without receivers the channel counts as closed.
    kept: watch::Sender<()>,
    closes_idle_sessions: Cell<bool>,
    section_waits: SectionWaits,
}

impl Default for State {
    fn default() -> Self {
        Self {
            arbiters: Rc::default(),
            kept: watch::Sender::new(()),
            closes_idle_sessions: Cell::default(),
            section_waits: SectionWaits::default(),
        }
    }
}

impl State {
    /// The state that belongs to pglock's thread. To be called there only.
    pub(crate) fn here() -> Rc<Self> {
        background::service()
    }

    pub(crate) fn pool(self: &Rc<Self>, database: &Database) -> Rc<Pool> {
        Rc::clone(self.arbiter(database).pool())
    }

    pub(super) fn arbiter(self: &Rc<Self>, database: &Database) -> Rc<Arbiter> {
        if !self.closes_idle_sessions.replace(true) {
            tokio::task::spawn_local(close_idle_sessions(Rc::downgrade(self)));
        }
        if let Some(arbiter) = self.arbiters.find(database) {
            return arbiter;
        }
        let (pool, opened) = Pool::new(database.clone());
        tokio::task::spawn_local(heartbeat::keep_all(
            Rc::downgrade(&pool),
            opened,
            database.liveness(),
        ));
        let arbiters = Rc::downgrade(&self.arbiters);
        let arbiter = Arbiter::new(
            pool,
            arbiters,
            self.section_waits.clone(),
            self.kept.clone(),
        );
        self.arbiters.add(&arbiter);
        arbiter
    }

    /// A caller has gone away.
    pub(super) fn forget(&self, ticket: Ticket) {
        for arbiter in self.arbiters.all() {
            arbiter.forget(ticket);
        }
    }

    /// Closes the sessions that nobody uses, of one database or of all, and waits until the server has ended them.
    pub(super) async fn close_idle(&self, database: Option<&Database>) {
        let mut arbiters = self.arbiters.all();
        arbiters.retain(|it| database.is_none_or(|database| it.pool().database() == database));
        for arbiter in arbiters {
            let pool = arbiter.pool();
            let nobody_waits = arbiter.give_back_all().await;
            for mut end in pool.close_all_idle(nobody_waits) {
                let ended = end.wait_for(|state| *state != SessionState::Open);
                // A server that does not answer is left to the kernel.
                let _ = within(pool.database().liveness().answer(), ended).await;
            }
        }
    }

    /// The backends of all of pglock's own sessions.
    pub(crate) fn backends(&self) -> Vec<Backend> {
        let arbiters = self.arbiters.all();
        let pools = arbiters.iter().map(|arbiter| arbiter.pool());
        pools.flat_map(|pool| pool.backends()).collect()
    }

    pub(crate) fn section_waits(&self) -> &SectionWaits {
        &self.section_waits
    }

    /// Waits until no lock is kept, of those whose release was sent before.
    pub(super) async fn nothing_kept(&self) {
        for arbiter in self.arbiters.all() {
            arbiter.take_releases();
        }
        self.kept.closed().await;
    }
}

async fn close_idle_sessions(state: Weak<State>) {
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        let Some(state) = state.upgrade() else {
            return;
        };
        state.arbiters.retain(|arbiter| {
            arbiter.give_back_idle(arbiter.pool().database().idle_timeout());
            arbiter.pool().close_idle();
            // One without sessions that nothing else uses can be created again when it is needed.
            let is_unused = Rc::strong_count(arbiter) == 1
                && Rc::strong_count(arbiter.pool()) == 1
                && arbiter.is_unused()
                && arbiter.pool().is_empty();
            !is_unused
        });
    }
}
