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
mod loans;
mod releases;
mod sessions;
mod waits;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use tokio::sync::watch;

use super::borrow::handed_back::Reply;
use super::ids::Ticket;
use super::ledger::{HeldBy, LedgerRequest, Order, RequestId, SessionId};
use super::pool::Pool;
use super::register::{Entries, Register};
use super::request::Request;
use super::section_waits::SectionWaits;
use super::session::NoSession;
use crate::model::lock_id::Key;
use cause::Cause;
use deadlines::{Deadline, Deadlines};
use holders::HolderLookUps;
use releases::Releases;
use sessions::OpenSession;
use waits::active::ActiveWait;

pub(super) struct Arbiter {
    pool: Rc<Pool>,
    register: Arc<Register>,
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

/// What the ledger's names stand for, but for what is in the register.
struct Book {
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<Ticket, RequestId>,
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
    /// When it is reported that it waits still.
    report: Option<Instant>,
}

impl Drop for Arbiter {
    fn drop(&mut self) {
        // Borrowers may keep the register for longer. That the locks are lost is to be known now.
        let held = {
            let mut entries = self.register.lock();
            entries.shared.clear();
            std::mem::take(&mut entries.held)
        };
        drop(held);
    }
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
            register: Register::new(releases.sender()),
            book: RefCell::new(Book {
                waiting: HashMap::new(),
                tickets: HashMap::new(),
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

    fn register(&self) -> MutexGuard<'_, Entries> {
        self.register.lock()
    }

    /// Requests a lock. What this caller has released before is released first, so that it can't be in its own way.
    pub(super) fn ask(self: &Rc<Self>, ticket: Ticket, request: Request, reply: Reply) {
        self.take_releases();
        request.lock.database.attach(&self.register);
        let id = self.register().ledger.ask(LedgerRequest::from(&request));
        self.admit(id, ticket, request, reply);
        self.settle(None);
    }

    /// Notes a request that the ledger knows.
    fn admit(self: &Rc<Self>, id: RequestId, ticket: Ticket, request: Request, reply: Reply) {
        let mut book = self.book.borrow_mut();
        let deadline = Deadline::of(&request);
        let mut look_up = None;
        if let Deadline::At(at) = deadline {
            let needs_session = {
                let ledger = &self.register().ledger;
                ledger.waits_for(id) == Some(HeldBy::Unknown) && !ledger.has_shared_session()
            };
            if request.needs_own_session() || !needs_session {
                self.deadlines.add(self, at, id);
                if request.describe_holder {
                    look_up = Some(self.plan_look_up(id, at));
                }
            } else {
                book.without_session.push(id);
            }
        }
        let report = self.plan_report(id, &request);
        book.tickets.insert(ticket, id);
        let waiting = Waiting {
            ticket,
            request,
            reply,
            deadline,
            look_up,
            report,
        };
        let (key, sections) = (
            waiting.request.lock.key,
            !waiting.request.sections.is_empty(),
        );
        book.waiting.insert(id, waiting);
        if sections {
            book.note_sections(key, &self.register());
        }
    }

    /// A caller has gone away. Nothing happens where it was answered before.
    pub(super) fn forget(self: &Rc<Self>, ticket: Ticket) {
        let book = self.book.borrow_mut();
        let Some(request) = book.tickets.get(&ticket).copied() else {
            return;
        };
        self.register().ledger.withdraw(request);
        drop(book);
        let waiting = self.take(request);
        self.settle(None);
        drop(waiting);
    }

    /// Whether requests wait for a key that is known to be busy.
    pub(super) fn is_in_line(&self, key: Key) -> bool {
        self.register().ledger.is_in_line(key)
    }

    /// Whether nothing is open here, and nobody waits.
    pub(super) fn is_unused(&self) -> bool {
        let book = self.book.borrow();
        let is_held = || !self.register().held.is_empty();
        book.sessions.is_empty() && book.waiting.is_empty() && !is_held()
    }

    /// Tells callers what an event has decided, and begins what it has made necessary. `cause` is why the event happened,
    /// where that was a failure.
    fn settle(self: &Rc<Self>, cause: Option<&Cause>) {
        loop {
            let (effects, orders) = {
                let mut entries = self.register();
                entries.collect_orders(None);
                entries.collect_effects();
                std::mem::take(&mut entries.left_over)
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
