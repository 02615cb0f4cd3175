//! Tells callers what the ledger has decided.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::cause::Cause;
use super::{Arbiter, Waiting};
use crate::background::jittered;
use crate::engine::hold::HeldLock;
use crate::engine::ids::SessionState;
use crate::engine::ledger::{Effect, HoldId, RequestId, SessionId};
use crate::engine::register::Held;
use crate::engine::request::Request;
use crate::error::{Error, Found, SKIP};
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;
use crate::wire::protocol;
use crate::wire::reply::Released;

/// How soon a key is tried again that is not waited for in the server, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

impl Arbiter {
    pub(super) fn tell(self: &Rc<Self>, effects: Vec<Effect>, cause: Option<&Cause>) {
        let mut busy = Vec::new();
        for effect in effects {
            match effect {
                Effect::Granted {
                    request,
                    hold,
                    session,
                } => self.grant(request, hold, session),
                Effect::Busy { request, .. } => busy.extend(self.take(request)),
                Effect::Deadlock { request } => {
                    self.refuse(request, |waiting| {
                        Cause::deadlock(cause, &waiting.request.lock)
                    });
                }
                Effect::Failed { request, why } => {
                    let before = self.no_wait_session.borrow().clone();
                    self.refuse(request, |waiting| {
                        Cause::not_acquired(cause, before.as_ref(), why, &waiting.request.lock)
                    });
                }
                Effect::Released { hold, was_held } => {
                    self.end(hold, |held| {
                        let released = if was_held {
                            Released::Yes
                        } else {
                            Released::NotHeld
                        };
                        protocol::explain_release(&held.lock.id, released)
                    });
                }
                Effect::Lost { hold } => {
                    self.end(hold, |held| Err(Cause::lost(cause, &held.lock)));
                }
                Effect::Confirmed { hold } => {
                    let reply = {
                        let held = &mut self.register().held;
                        held.get_mut(&hold).and_then(|held| held.confirmed.take())
                    };
                    if let Some(reply) = reply {
                        // A caller that went away has no use for the answer.
                        let _ = reply.send(Ok(()));
                    }
                }
                Effect::Poll {
                    key,
                    timer,
                    attempt,
                } => {
                    tokio::task::spawn_local(Rc::clone(self).poll_later(key, timer, attempt));
                }
            }
        }
        self.tell_busy(busy);
    }

    /// A request that is answered now.
    pub(super) fn take(&self, request: RequestId) -> Option<Waiting> {
        let mut book = self.book.borrow_mut();
        let waiting = book.waiting.remove(&request)?;
        book.tickets.remove(&waiting.ticket);
        self.deadlines.remove(&waiting.deadline, request);
        self.deadlines.remove_look_up(waiting.look_up, request);
        self.deadlines.remove_report(waiting.report, request);
        if !waiting.request.sections.is_empty() {
            book.note_sections(waiting.request.lock.key, &self.register());
        }
        book.forget_crowd();
        Some(waiting)
    }

    fn grant(&self, request: RequestId, hold: HoldId, session: SessionId) {
        let Some(waiting) = self.take(request) else {
            return;
        };
        let Waiting { request, reply, .. } = waiting;
        let lock = Arc::new(request.lock);
        let record = Arc::new(lock.begin_record(&request.context));
        let Some(session) = self.session(session) else {
            return;
        };
        let state = session.state();
        self.register()
            .add_hold(hold, &lock, session.link(), &record);
        if let SessionState::Closed { reason } = &*state.borrow() {
            // It ended before the lock was in its list, so nothing else reports the loss.
            record.lost(reason);
        }
        let granted = HeldLock::new(Arc::clone(&self.register), lock, hold, state, record);
        // If the caller has gone away, `send` returns the lock, and dropping it releases it.
        drop(reply.send(Ok(granted)));
    }

    fn refuse(&self, request: RequestId, error: impl FnOnce(&Waiting) -> Error) {
        if let Some(waiting) = self.take(request) {
            let error = error(&waiting);
            drop(waiting.reply.send(Err(error)));
        }
    }

    fn end(&self, hold: HoldId, result: impl FnOnce(&Held) -> Result<(), Error>) {
        let Some(entry) = self.register().held.remove(&hold) else {
            return;
        };
        entry.link.held_locks().remove(hold);
        let result = result(&entry);
        entry.record.released(&result);
        // A caller that still waits to hear whether it was held gets the answer of the release that followed.
        if let Some(reply) = entry.confirmed.or(entry.released) {
            let _ = reply.send(result);
        }
    }

    /// Tells those that their lock is busy, and who has it.
    pub(super) fn tell_busy(self: &Rc<Self>, busy: Vec<Waiting>) {
        let mut by_key: HashMap<(Key, AdvisoryMode), Vec<Waiting>> = HashMap::new();
        for waiting in busy {
            if waiting.request.describe_holder {
                let lock = &waiting.request.lock;
                by_key
                    .entry((lock.key, lock.mode))
                    .or_default()
                    .push(waiting);
            } else {
                waiting.tell_busy(Found::Unknown);
            }
        }
        for ((key, mode), callers) in by_key {
            let Some(holder) = self.holder_here(key, mode) else {
                tokio::task::spawn_local(Rc::clone(self).tell_holder(callers));
                continue;
            };
            for waiting in callers {
                waiting.tell_busy(Found::Holder(holder.clone()));
            }
        }
    }

    async fn poll_later(self: Rc<Self>, key: Key, timer: u64, attempt: u32) {
        tokio::time::sleep(poll_delay(attempt)).await;
        self.register().ledger.poll(key, timer);
        self.settle(None);
    }
}

impl Waiting {
    pub(super) fn tell_busy(self, found: Found) {
        let Request { lock, wait, .. } = &self.request;
        let error = Error::busy(&lock.id, wait.bound(), found, SKIP);
        drop(self.reply.send(Err(error)));
    }
}

/// 5, 7.5, 11, .. 100 ms, a quarter more or less: processes that poll for one key must not do so in step.
fn poll_delay(attempt: u32) -> Duration {
    let (first, longest) = POLL;
    let delay = first.mul_f64(1.5_f64.powi(attempt.min(16).cast_signed()));
    jittered(delay.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_up_to_a_tenth_of_a_second() {
        for (attempt, expected) in [(0, 5.0), (1, 7.5), (2, 11.25), (20, 100.0)] {
            for _ in 0..100 {
                let delay = poll_delay(attempt).as_secs_f64() * 1000.0;
                assert!(
                    (expected * 0.74..expected * 1.26).contains(&delay),
                    "{attempt}: {delay} ms"
                );
            }
        }
    }
}
