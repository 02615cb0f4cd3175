//! The arbiter of one database: asks its ledger who gets which lock, and carries out what that orders.
//!
//! What happens (a request, a release, an answer of the server) is told to the [`Ledger`] first. Then
//! [`settle`](Arbiter::settle) reads what follows from it: effects are told to callers (`answers`), orders are carried
//! out on sessions (`batches` for those that many locks share, `waits` for waits in the server).

mod answers;
mod batches;
mod cause;
mod deadlines;
mod holders;
mod releases;
mod sessions;
mod waits;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::hold::{HeldLock, ReleaseReply};
use super::ids::Ticket;
use super::ledger::{
    Effect, HeldBy, HoldId, Ledger, LedgerRequest, Limits, Order, RequestId, SessionId,
};
use super::lock::DatabaseLock;
use super::pool::Pool;
use super::request::Request;
use super::section_waits::SectionWaits;
use super::session::{NoSession, Session};
use crate::error::Error;
use crate::model::lock_id::Key;
use crate::telemetry::HoldRecord;
use cause::Cause;
use deadlines::{Deadline, Deadlines};
use holders::HolderLookUps;
use releases::Releases;
use sessions::OpenSession;
use waits::active::ActiveWait;

/// Where a lock goes; closed when the caller has gone away.
pub(super) type Reply = oneshot::Sender<Result<HeldLock, Error>>;

pub(super) struct Arbiter {
    pool: Rc<Pool>,
    book: RefCell<Book>,
    deadlines: Deadlines,
    holder_look_ups: HolderLookUps,
    section_waits: SectionWaits,
    /// Each lock that is kept after its call has a receiver.
    kept: watch::Sender<()>,
    releases: Releases,
    watches_for_held_up: Cell<bool>,
    /// Why no session for waits could be opened, until that is tried again.
    no_wait_session: RefCell<Option<NoSession>>,
}

/// The ledger, and what its names stand for.
struct Book {
    ledger: Ledger,
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<Ticket, RequestId>,
    held: HashMap<HoldId, Held>,
    sessions: HashMap<SessionId, OpenSession>,
    /// The waits in the server that have been ordered.
    waits: HashMap<Key, Rc<ActiveWait>>,
    /// Requests whose timeout does not run yet, since a session is being opened for them.
    without_session: Vec<RequestId>,
}

/// A caller that waits for a lock.
struct Waiting {
    ticket: Ticket,
    request: Request,
    reply: Reply,
    deadline: Deadline,
    /// When it is asked for it who has the lock.
    look_up: Option<Instant>,
}

/// A granted lock.
struct Held {
    lock: Arc<DatabaseLock>,
    session: Rc<Session>,
    record: Arc<HoldRecord>,
    granted: Instant,
    /// Where the end of its release goes.
    released: Option<ReleaseReply>,
    /// Where it goes whether it is still held.
    confirmed: Option<ReleaseReply>,
}

impl Arbiter {
    pub(super) fn new(
        pool: Rc<Pool>,
        section_waits: SectionWaits,
        kept: watch::Sender<()>,
    ) -> Rc<Self> {
        let releases = Releases::new();
        let arbiter = Rc::new(Self {
            pool,
            book: RefCell::new(Book {
                ledger: Ledger::new(Limits::default()),
                waiting: HashMap::new(),
                tickets: HashMap::new(),
                held: HashMap::new(),
                sessions: HashMap::new(),
                waits: HashMap::new(),
                without_session: Vec::new(),
            }),
            deadlines: Deadlines::default(),
            holder_look_ups: HolderLookUps::default(),
            section_waits,
            kept,
            releases,
            watches_for_held_up: Cell::new(false),
            no_wait_session: RefCell::default(),
        });
        arbiter.serve_releases();
        arbiter
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Requests a lock. What this caller has released before is released first, so that it can't be in its own way.
    pub(super) fn ask(self: &Rc<Self>, ticket: Ticket, request: Request, reply: Reply) {
        self.take_releases();
        let mut book = self.book.borrow_mut();
        let own_session = request.needs_own_session();
        let id = book.ledger.ask(LedgerRequest {
            key: request.lock.key,
            mode: request.lock.mode,
            no_wait: request.does_not_wait(),
            own_session,
            enclosing: &request.enclosing,
        });
        let deadline = Deadline::of(&request);
        let mut look_up = None;
        if let Deadline::At(at) = deadline {
            let needs_session = book.ledger.waits_for(id) == Some(HeldBy::Unknown)
                && !book.ledger.has_shared_session();
            if own_session || !needs_session {
                self.deadlines.add(self, at, id);
                if request.describe_holder {
                    look_up = Some(self.plan_look_up(id, at));
                }
            } else {
                book.without_session.push(id);
            }
        }
        book.tickets.insert(ticket, id);
        let waiting = Waiting {
            ticket,
            request,
            reply,
            deadline,
            look_up,
        };
        let (key, sections) = (
            waiting.request.lock.key,
            !waiting.request.sections.is_empty(),
        );
        book.waiting.insert(id, waiting);
        if sections {
            book.note_sections(key);
        }
        drop(book);
        self.settle(None);
    }

    /// A caller has gone away. Nothing happens where it was answered before.
    pub(super) fn forget(self: &Rc<Self>, ticket: Ticket) {
        let mut book = self.book.borrow_mut();
        let Some(request) = book.tickets.get(&ticket).copied() else {
            return;
        };
        book.ledger.withdraw(request);
        drop(book);
        let waiting = self.take(request);
        self.settle(None);
        drop(waiting);
    }

    /// Whether nothing is open here, and nobody waits.
    pub(super) fn is_unused(&self) -> bool {
        let book = self.book.borrow();
        book.sessions.is_empty() && book.waiting.is_empty() && book.held.is_empty()
    }

    /// Tells callers what an event has decided, and begins what it has made necessary. `cause` is why the event happened,
    /// where that was a failure.
    fn settle(self: &Rc<Self>, cause: Option<&Cause>) {
        loop {
            let (effects, orders) = {
                let ledger = &mut self.book.borrow_mut().ledger;
                let orders: Vec<Order> = std::iter::from_fn(|| ledger.next_order()).collect();
                let effects: Vec<Effect> = ledger.drain_effects().collect();
                (effects, orders)
            };
            if effects.is_empty() && orders.is_empty() {
                return;
            }
            self.tell(effects, cause);
            for order in orders {
                self.carry_out(order);
            }
        }
    }

    fn carry_out(self: &Rc<Self>, order: Order) {
        let arbiter = Rc::clone(self);
        match order {
            Order::Open(role) => {
                tokio::task::spawn_local(arbiter.open(role));
            }
            Order::Send(session) => {
                if let Some(open) = self.book.borrow().sessions.get(&session) {
                    open.work.notify_one();
                }
            }
            Order::Wait(wait) => {
                let active = Rc::<ActiveWait>::default();
                let waits = &mut self.book.borrow_mut().waits;
                waits.insert(wait.key, Rc::clone(&active));
                tokio::task::spawn_local(arbiter.wait(wait, active));
            }
            Order::CancelWait(key) => {
                if let Some(active) = self.book.borrow().waits.get(&key) {
                    active.cancel.notify_one();
                }
            }
        }
    }
}
