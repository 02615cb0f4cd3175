//! The sessions that the ledger knows, from their opening to their end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Arbiter;
use super::cause::Cause;
use crate::engine::ids::SessionState;
use crate::engine::ledger::{Role, SessionId};
use crate::engine::pool::Lease;
use crate::engine::session::Session;
use crate::telemetry::SessionRole;

/// How often it is looked whether a release has been answered.
const RELEASED: Duration = Duration::from_millis(1);

/// A session that the ledger knows.
pub(super) struct OpenSession {
    pub(super) lease: Lease,
    /// What it is for, if it is for all.
    pub(super) role: Option<Role>,
    /// There is something to send.
    pub(super) work: Rc<Notify>,
    tasks: [AbortHandle; 2],
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Arbiter {
    /// Opens a session for all.
    pub(super) async fn open(self: Rc<Self>, role: Role) {
        let began = Instant::now();
        match self.pool.session_for_many().await {
            Ok(lease) => {
                let id = {
                    let ledger = &mut self.register().ledger;
                    ledger.limit_locks(lease.session().lock_table() / 2);
                    ledger.session_opened(role)
                };
                lease.session().is_for(match role {
                    Role::Shared => SessionRole::Shared,
                    Role::Helper => SessionRole::Helper,
                });
                self.adopt(id, lease, Some(role));
                if role == Role::Shared {
                    self.start_deadlines();
                }
                self.settle(None);
            }
            Err(why) => {
                {
                    let waiting = &self.book.borrow().waiting;
                    // Those who came before the first half was over have waited for most of it.
                    let half = began + began.elapsed() / 2;
                    let came = waiting
                        .iter()
                        .filter(|(_, waiting)| waiting.request.asked <= half);
                    let came = came.map(|(request, _)| *request);
                    self.register().ledger.open_failed(role, came);
                }
                self.settle(Some(&Cause::NoSession(why)));
                let book = &mut *self.book.borrow_mut();
                let waiting = &book.waiting;
                book.without_session
                    .retain(|request| waiting.contains_key(request));
            }
        }
    }

    /// Notes which session a name of the ledger stands for, and watches for its end.
    pub(super) fn adopt(self: &Rc<Self>, id: SessionId, lease: Lease, role: Option<Role>) {
        let session = Rc::clone(lease.session());
        let arbiter = Rc::downgrade(self);
        let watch = tokio::task::spawn_local(async move {
            let mut state = session.state();
            // An error says that the task which drives it has ended.
            let _ = state.wait_for(|state| *state != SessionState::Open).await;
            // A conversation that this ends knows more about it.
            drop(session.exclusive().await);
            if let Some(arbiter) = arbiter.upgrade() {
                let cause = Cause::ended(&session, None).await;
                arbiter.end_session(id, &session, !session.is_given_up(), &cause);
            }
        });
        let (work, arbiter) = (Rc::<Notify>::default(), Rc::downgrade(self));
        let send = tokio::task::spawn_local({
            let work = Rc::clone(&work);
            async move {
                loop {
                    work.notified().await;
                    match arbiter.upgrade() {
                        Some(arbiter) => arbiter.send(id).await,
                        None => return,
                    }
                }
            }
        });
        if role == Some(Role::Shared) {
            let link = Arc::clone(lease.session().link());
            self.register().shared.insert(id, link);
        }
        let open = OpenSession {
            lease,
            role,
            work,
            tasks: [watch.abort_handle(), send.abort_handle()],
        };
        self.book.borrow_mut().sessions.insert(id, open);
    }

    pub(super) fn session(&self, id: SessionId) -> Option<Rc<Session>> {
        let book = self.book.borrow();
        let open = book.sessions.get(&id)?;
        Some(Rc::clone(open.lease.session()))
    }

    /// Whether that is still the session of this name.
    pub(super) fn is_open(&self, id: SessionId, session: &Rc<Session>) -> bool {
        let open = self.session(id);
        open.is_some_and(|open| Rc::ptr_eq(&open, session))
    }

    /// A session has ended, and with it what it held. `ask_again`: what it was asked for is asked on another one.
    pub(super) fn end_session(
        self: &Rc<Self>,
        id: SessionId,
        session: &Rc<Session>,
        ask_again: bool,
        cause: &Cause,
    ) {
        if !self.is_open(id, session) {
            return;
        }
        let ended = {
            let mut entries = self.register();
            entries.ledger.session_ended(id, ask_again);
            entries.shared.remove(&id);
            self.book.borrow_mut().sessions.remove(&id)
        };
        self.settle(Some(cause));
        drop(ended);
    }

    /// Gives back a session that the ledger has no use for any more.
    pub(super) fn give_back(&self, id: SessionId) {
        if !self.register().ledger.has_session(id) {
            let session = self.book.borrow_mut().sessions.remove(&id);
            drop(session);
        }
    }

    /// Gives back sessions that hold nothing and have not been used for that time.
    pub(in crate::engine) fn give_back_idle(&self, unused: Duration) {
        let quiet: Vec<(SessionId, Rc<Session>)> = {
            let sessions = &self.book.borrow().sessions;
            let sessions = sessions.iter();
            let sessions = sessions.map(|(id, open)| (*id, Rc::clone(open.lease.session())));
            sessions
                .filter(|(_, session)| session.unused_for() >= unused)
                .collect()
        };
        for (id, session) in quiet {
            // Takes it back from borrowers, too.
            let Some(exclusive) = session.try_exclusive() else {
                continue;
            };
            let is_idle = {
                let mut entries = self.register();
                let is_idle = entries.ledger.close_idle(id);
                if is_idle {
                    entries.shared.remove(&id);
                }
                is_idle
            };
            drop(exclusive);
            if is_idle {
                let open = self.book.borrow_mut().sessions.remove(&id);
                drop(open);
            }
        }
    }

    /// Gives back all sessions that nobody needs, those that are about to release a lock when they have. Says whether none
    /// is left.
    pub(in crate::engine) async fn give_back_all(self: &Rc<Self>) -> bool {
        self.take_releases();
        let began = Instant::now();
        let bound = self.pool.database().liveness().answer();
        loop {
            self.give_back_idle(Duration::ZERO);
            let (is_empty, is_awaited) = {
                let (book, entries) = (self.book.borrow(), self.register());
                let mut left = book.sessions.keys();
                let is_awaited = left.any(|id| !entries.ledger.is_needed(*id));
                (book.sessions.is_empty(), is_awaited)
            };
            if !is_awaited || began.elapsed() >= bound {
                return is_empty;
            }
            tokio::time::sleep(RELEASED).await;
        }
    }
}
