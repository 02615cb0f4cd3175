//! What pglock's thread and borrowers both work on: the ledger of a database, and the locks that are held.
//!
//! The lock around it is held for moments, and never while IO is done or code of callers runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::borrow::crowd::Crowd;
use super::ledger::{Effect, HoldId, Ledger, Limits, Op, Order, RequestId, SessionId};
use super::lock::DatabaseLock;
use super::session::{Borrowed, Borrower, SessionLink};
use crate::background::{self, OwnerProcess};
use crate::error::Error;
use crate::telemetry::HoldRecord;

/// Receives whether a lock was held until the end of its call.
pub(super) type ReleaseReply = oneshot::Sender<Result<(), Error>>;

/// What a holder tells the arbiter at the end.
pub(super) struct Release {
    pub(super) hold: HoldId,
    /// The end of `hold_at_least`.
    pub(super) keep_until: Option<Instant>,
    pub(super) reply: Option<ReleaseReply>,
}

pub(super) struct Register {
    entries: Mutex<Entries>,
    /// Closed once the thread has ended. No other can release its locks.
    pub(super) releases: mpsc::UnboundedSender<Release>,
    /// The thread that it belongs to.
    pub(super) thread: background::Handle,
    pub(super) process: OwnerProcess,
    /// In a crowd nobody borrows.
    pub(super) crowd: Crowd,
}

pub(super) struct Entries {
    pub(super) ledger: Ledger,
    pub(super) held: HashMap<HoldId, Held>,
    /// The sessions that many locks share, by the ledger's names.
    pub(super) shared: HashMap<SessionId, Arc<SessionLink>>,
    /// Requests whose callers have borrowed a session, and what the ledger has decided about them.
    pub(super) borrowers: Vec<RequestId>,
    for_borrowers: Vec<Effect>,
    /// What a borrower has read from the ledger that is not for itself.
    pub(super) left_over: (Vec<Effect>, Vec<Order>),
}

/// A granted lock.
pub(super) struct Held {
    pub(super) lock: Arc<DatabaseLock>,
    pub(super) link: Arc<SessionLink>,
    pub(super) record: Arc<HoldRecord>,
    /// Where the end of its release goes.
    pub(super) released: Option<ReleaseReply>,
    /// Where it goes whether it is still held.
    pub(super) confirmed: Option<ReleaseReply>,
}

impl Register {
    /// To be called on pglock's thread.
    pub(super) fn new(releases: mpsc::UnboundedSender<Release>) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::new(Entries {
                ledger: Ledger::new(Limits::default()),
                held: HashMap::new(),
                shared: HashMap::new(),
                borrowers: Vec::new(),
                for_borrowers: Vec::new(),
                left_over: Default::default(),
            }),
            releases,
            thread: background::Handle::current(),
            process: OwnerProcess::current(),
            crowd: Crowd::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is this process's, and not a copy that a fork has made, maybe of a locked one.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// Whether a task could borrow the session that the ledger names, before it lets others go first for that. None: it has
    /// something to do, so callers are many.
    pub(super) fn may_lend(&self, session: impl FnOnce(&Ledger) -> Option<SessionId>) -> bool {
        if self.crowd.is_now() {
            return false;
        }
        let entries = self.lock();
        let Some(session) = session(&entries.ledger) else {
            self.crowd.note();
            return false;
        };
        let link = entries.shared.get(&session);
        link.is_some_and(|link| link.is_quick_for(Borrower::Task))
    }

    /// Lends a session to the thread that calls this, unless it is in use, or would be in a moment.
    pub(super) fn lend(
        &self,
        entries: &Entries,
        session: Option<SessionId>,
        borrower: Borrower,
    ) -> Option<(SessionId, Borrowed)> {
        let session = session?;
        let link = entries.shared.get(&session)?;
        if self.crowd.is_now() || !link.is_quick_for(borrower) {
            return None;
        }
        let lent = link.lend(borrower);
        if lent.is_none() {
            self.crowd.note();
        }
        Some((session, lent?))
    }
}

impl Entries {
    /// What a session is to be sent next, as if pglock's thread had asked.
    pub(super) fn take_batch(&mut self, session: SessionId) -> Vec<Op> {
        self.collect_orders(Some(session));
        let mut ops = Vec::with_capacity(1);
        self.ledger.next_batch(session, 1, &mut ops);
        ops
    }

    /// Collects what callers are to be told. What is for a borrower waits until it, or who takes over from it, looks.
    pub(super) fn collect_effects(&mut self) {
        for effect in self.ledger.drain_effects() {
            let of_borrower = effect.request().filter(|it| self.borrowers.contains(it));
            match of_borrower {
                Some(_) => self.for_borrowers.push(effect),
                None => self.left_over.0.push(effect),
            }
        }
    }

    pub(super) fn granted_to_borrower(&self, request: RequestId) -> Option<HoldId> {
        self.for_borrowers.iter().find_map(|effect| match effect {
            Effect::Granted {
                request: it, hold, ..
            } if *it == request => Some(*hold),
            _ => None,
        })
    }

    /// From now on what a request gets is told to its caller by pglock's thread, but for what is returned.
    pub(super) fn end_loan(&mut self, request: RequestId) -> Option<Effect> {
        self.borrowers.retain(|it| *it != request);
        let mut effects = self.for_borrowers.iter();
        let own = effects.position(|effect| effect.request() == Some(request))?;
        Some(self.for_borrowers.swap_remove(own))
    }

    /// Takes what a release was answered.
    pub(super) fn take_released(&mut self, hold: HoldId) -> Option<Held> {
        self.collect_effects();
        let is_it =
            |effect: &Effect| matches!(effect, Effect::Released { hold: it, .. } if *it == hold);
        let own = self.left_over.0.iter().position(is_it)?;
        self.left_over.0.swap_remove(own);
        self.held.remove(&hold)
    }

    /// Leaves to pglock's thread what there is to do. Whether there is anything.
    pub(super) fn collect_left_over(&mut self) -> bool {
        self.collect_orders(None);
        self.collect_effects();
        let (effects, orders) = &self.left_over;
        !effects.is_empty() || !orders.is_empty()
    }

    pub(super) fn collect_orders(&mut self, lent: Option<SessionId>) {
        while let Some(order) = self.ledger.next_order() {
            match order {
                Order::Send(session) if Some(session) == lent => {}
                order => self.left_over.1.push(order),
            }
        }
    }

    /// Notes a lock that the ledger has granted on a session.
    pub(super) fn add_hold(
        &mut self,
        hold: HoldId,
        lock: &Arc<DatabaseLock>,
        link: &Arc<SessionLink>,
        record: &Arc<HoldRecord>,
    ) {
        link.held_locks().add(hold, lock, Arc::clone(record));
        let entry = Held {
            lock: Arc::clone(lock),
            link: Arc::clone(link),
            record: Arc::clone(record),
            released: None,
            confirmed: None,
        };
        self.held.insert(hold, entry);
    }
}
