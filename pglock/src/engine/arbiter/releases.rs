//! Releases, now or at the end of `hold_at_least`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::Arbiter;
use crate::engine::ids::SessionState;
use crate::engine::ledger::HoldId;
use crate::engine::register::{Release, ReleaseReply};

/// The releases of all locks that this arbiter has granted.
pub(super) struct Releases {
    sender: mpsc::UnboundedSender<Release>,
    receiver: RefCell<mpsc::UnboundedReceiver<Release>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Releases {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: RefCell::new(receiver),
            task: RefCell::default(),
        }
    }

    pub(super) fn sender(&self) -> mpsc::UnboundedSender<Release> {
        self.sender.clone()
    }

    fn take(&self) -> Option<Release> {
        self.receiver.borrow_mut().try_recv().ok()
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Arbiter {
    /// Starts the task that carries out releases.
    pub(super) fn serve_releases(self: &Rc<Self>) {
        let arbiter = Rc::downgrade(self);
        let serve = poll_fn(move |cx| {
            let Some(arbiter) = arbiter.upgrade() else {
                return Poll::Ready(());
            };
            loop {
                let release = arbiter.releases.receiver.borrow_mut().poll_recv(cx);
                match release {
                    Poll::Ready(Some(release)) => arbiter.release(release),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let task = tokio::task::spawn_local(serve).abort_handle();
        self.releases.task.replace(Some(task));
    }

    /// Begins all releases that have been sent.
    pub(in crate::engine) fn take_releases(self: &Rc<Self>) {
        while let Some(release) = self.releases.take() {
            self.release(release);
        }
    }

    fn release(self: &Rc<Self>, release: Release) {
        let Release {
            hold,
            keep_until,
            reply,
        } = release;
        match keep_until.filter(|until| *until > Instant::now()) {
            Some(until) => {
                // Counted from now on, so that a `drain` that comes next waits for it.
                let kept = self.kept.subscribe();
                let keep = Rc::clone(self).keep(hold, until, reply);
                tokio::task::spawn_local(async move {
                    keep.await;
                    drop(kept);
                });
            }
            None => self.release_now(hold, reply),
        }
    }

    fn release_now(self: &Rc<Self>, hold: HoldId, reply: Option<ReleaseReply>) {
        let mut entries = self.register();
        let Some(entry) = entries.held.get_mut(&hold) else {
            // It was lost; its holder knows why from its session.
            return;
        };
        entry.released = reply;
        entry.link.held_locks().remove(hold);
        entries.ledger.release(hold);
        drop(entries);
        self.settle(None);
    }

    /// Keeps a lock after its call, and then releases it. The caller gets the answer that a release would give it now.
    async fn keep(self: Rc<Self>, hold: HoldId, until: Instant, reply: Option<ReleaseReply>) {
        let mut state = {
            let mut entries = self.register();
            let Some(entry) = entries.held.get_mut(&hold) else {
                return;
            };
            entry.confirmed = reply;
            entry.link.held_locks().keep(hold, until);
            let state = entry.link.state();
            entries.ledger.confirm(hold);
            state
        };
        self.settle(None);
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            _ = state.wait_for(|state| *state != SessionState::Open) => {}
        }
        let (reply, released) = oneshot::channel();
        self.release_now(hold, Some(reply));
        // An error says that it was lost.
        let _ = released.await;
    }
}
