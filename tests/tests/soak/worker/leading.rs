//! One that leads: each term is a call in the log, which is made when the term before it has ended.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pglock::{Database, LockId};

use super::{Failure, Ran, Worker, nonblocking, note};
use crate::locks::lock_id;
use crate::log::{Called, Calling, Inside, Outcome, Time, now};
use crate::schedule::{Call, Lead, Wait, Way};

#[pglock::leader(lock_id = id.clone(), using = here, restart = "5ms")]
async fn annotated<F: Future<Output = Result<(), Failure>> + Send>(
    here: &Database,
    id: LockId,
    body: impl Fn() -> F + Clone + Send,
) -> Result<(), Failure> {
    let _ = (here, id);
    body().await
}

#[pglock::leader(lock_id = id.clone(), using = here, restart = "5ms", restart_on_error)]
async fn restarting<F: Future<Output = Result<(), Failure>> + Send>(
    here: &Database,
    id: LockId,
    body: impl Fn() -> F + Clone + Send,
) -> Result<(), Failure> {
    let _ = (here, id);
    body().await
}

pub(super) async fn lead(worker: &Worker, call: &Call, lead: Lead) -> Ran {
    let terms = Terms::begin(worker, call);
    let body = || term(&terms, call);
    let (here, id) = (&worker.here, lock_id(call.keys[0]));
    let ended = match (call.way, call.wait) {
        (Way::Attribute, _) if lead.restarts_on_error => restarting(here, id, body).await,
        (Way::Attribute, _) => annotated(here, id, body).await,
        (_, Wait::Forever) if !call.dedicated => {
            let leader = pglock::leader(id).using(here).restart(lead.restart);
            let leader = leader.restart_on_error(lead.restarts_on_error);
            leader.lead(body).await
        }
        _ => worker.lock(call).lead(body).await,
    };
    let ran = ended.map(|()| true);
    terms.end(&ran);
    ran
}

async fn term(terms: &Terms<'_>, call: &Call) -> Result<(), Failure> {
    let (id, inside) = terms.next();
    let mut term = Term {
        terms,
        end: TermEnd::Dropped,
    };
    let ended = nonblocking::inside(terms.worker, call, id, inside).await;
    term.end = match ended {
        Ok(()) => TermEnd::Returned,
        Err(_) => TermEnd::Failed,
    };
    ended
}

/// How a body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TermEnd {
    Returned,
    /// Or it has panicked.
    Failed,
    Dropped,
}

/// A body that is there.
struct Term<'t, 'w> {
    terms: &'t Terms<'w>,
    end: TermEnd,
}

impl Drop for Term<'_, '_> {
    fn drop(&mut self) {
        let end = if std::thread::panicking() {
            TermEnd::Failed
        } else {
            self.end
        };
        self.terms.last().ended = Some((now(), end));
    }
}

/// Those of one leader. Dropped, nobody was told how the last one went.
struct Terms<'w> {
    worker: &'w Worker,
    called: Called,
    last: Mutex<Last<'w>>,
}

/// The last one: it is waited for, runs, or has ended.
struct Last<'w> {
    calling: Option<Calling<'w>>,
    ended: Option<(Time, TermEnd)>,
}

impl<'w> Terms<'w> {
    fn begin(worker: &'w Worker, call: &Call) -> Self {
        let mut called = Worker::called(call, None, "");
        called.leader = Some(worker.leaders.fetch_add(1, Ordering::Relaxed));
        let last = Mutex::new(Last {
            calling: Some(worker.log.called(called.clone())),
            ended: None,
        });
        Self {
            worker,
            called,
            last,
        }
    }

    fn last(&self) -> MutexGuard<'_, Last<'w>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a body begins.
    fn next(&self) -> (u32, Inside<'w>) {
        let mut last = self.last();
        self.go_on(&mut last);
        let calling = last.calling.as_ref().expect("it has not returned");
        (calling.id(), calling.began())
    }

    /// Notes, where the last body has ended, that this was not the end.
    fn go_on(&self, last: &mut Last<'w>) {
        let Some((at, end)) = last.ended.take() else {
            return;
        };
        // First the one to come: a process that is killed in between must not seem to have been told of a loss.
        let next = self.worker.log.called_at(at, self.called.clone());
        let outcome = match end {
            TermEnd::Dropped => Outcome::Lost {
                body_finished: false,
            },
            TermEnd::Returned | TermEnd::Failed => Outcome::Unsaid,
        };
        if let Some(over) = last.calling.replace(next) {
            over.returned(outcome, "it went on to lead".to_owned());
        }
    }

    fn end(&self, ran: &Ran) {
        let mut last = self.last();
        let is_of_the_next = matches!(ran, Err(Failure::Pglock(error)) if !error.is_lost());
        if is_of_the_next {
            self.go_on(&mut last);
        }
        if let Some(calling) = last.calling.take() {
            note(calling, ran);
        }
    }
}
