//! Who has a busy lock: one look-up for all who are told about one key in one mode.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::{Arbiter, Waiting};
use crate::engine::ledger::{HeldBy, RequestId};
use crate::engine::lock::DatabaseLock;
use crate::engine::session::HoldTimes;
use crate::error::{Found, Holder};
use crate::model::lock_id::{Key, LockId};
#[cfg(feature = "testing")]
use crate::model::lock_request::LockSpec;
use crate::model::options::{AdvisoryMode, WaitPolicy};
#[cfg(feature = "testing")]
use crate::model::permits::Permits;
#[cfg(feature = "testing")]
use crate::sql::shared::permits::OtherNumber;

/// For how long an answer serves others.
const FRESH: Duration = Duration::from_millis(250);

/// Who asks so close to each other gets the same answer.
const AT_ONCE: Duration = Duration::from_millis(5);

/// How long a caller whose time is over waits for the name of the holder.
const AFTER_TIMEOUT: Duration = Duration::from_millis(40);

/// The same for a caller that did not wait for the lock.
const AFTER_TRY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct HolderLookUps(RefCell<HashMap<(Key, AdvisoryMode), LookUp>>);

struct LookUp {
    began: Instant,
    answer: watch::Receiver<Option<Found>>,
}

impl Arbiter {
    /// Tells callers that wait for one key that it is busy.
    pub(super) async fn tell_holder(self: Rc<Self>, busy: Vec<Waiting>) {
        let Some(first) = busy.first() else {
            return;
        };
        let asked = busy.iter().map(|waiting| waiting.request.asked).max();
        let asked = asked.unwrap_or_else(Instant::now);
        let (mut answer, mut holder) = self.look_up(&first.request.lock, asked);
        let mut is_known = false;
        let (tries, waited): (Vec<_>, Vec<_>) = busy
            .into_iter()
            .partition(|waiting| waiting.request.wait == WaitPolicy::NoWait);
        for (callers, bound) in [(waited, AFTER_TIMEOUT), (tries, AFTER_TRY)] {
            if callers.is_empty() {
                continue;
            }
            if !is_known {
                let answered = answer.wait_for(Option::is_some);
                if let Ok(Ok(answer)) = tokio::time::timeout(bound, answered).await {
                    holder = answer.clone().unwrap_or_default();
                    is_known = true;
                }
            }
            for waiting in callers {
                waiting.tell_busy(holder.clone());
            }
        }
    }

    /// Asks for a caller that is about to give up. It may have been answered since that was planned.
    pub(super) fn look_up_early(self: &Rc<Self>, request: RequestId) {
        let lock = {
            let book = self.book.borrow();
            let known = self.register().ledger.waits_for(request);
            let is_busy = known == Some(HeldBy::Elsewhere);
            let waiting = book.waiting.get(&request).filter(|_| is_busy);
            waiting.map(|waiting| waiting.request.lock.clone())
        };
        if let Some(lock) = lock {
            self.look_up(&lock, Instant::now());
        }
    }

    /// Reports that a caller waits still, and for whom.
    pub(super) fn report_wait(self: &Rc<Self>, request: RequestId) {
        let mut book = self.book.borrow_mut();
        let Some(waiting) = book.waiting.get_mut(&request) else {
            return;
        };
        waiting.report = self.plan_report(request, &waiting.request);
        let Some(report) = waiting.request.wait_report.clone() else {
            return;
        };
        let (lock, asked) = (waiting.request.lock.clone(), waiting.request.asked);
        let arbiter = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let mut found = arbiter.holder_here(lock.key, lock.mode).map(Found::Holder);
            if found.is_none() {
                let (mut answer, _) = arbiter.look_up(&lock, Instant::now());
                let answer = answer.wait_for(Option::is_some).await;
                found = answer.ok().and_then(|found| found.clone());
            }
            // It may have been answered meanwhile.
            if arbiter.book.borrow().waiting.contains_key(&request) {
                report.emit(asked.elapsed(), found.unwrap_or_default().holder());
            }
        });
    }

    /// A look-up for callers of which the last asked for the lock at that time, and what the one before said. One that was
    /// about to be made then will do, since many ask at once.
    fn look_up(
        self: &Rc<Self>,
        lock: &DatabaseLock,
        asked: Instant,
    ) -> (watch::Receiver<Option<Found>>, Found) {
        let mut look_ups = self.holder_look_ups.0.borrow_mut();
        look_ups.retain(|_, look_up| look_up.began.elapsed() < FRESH);
        let is_early = |look_up: &LookUp| look_up.began + AT_ONCE < asked;
        let asked_about = (lock.key, lock.mode);
        let before = match look_ups.get(&asked_about) {
            Some(look_up) if is_early(look_up) => {
                let before = look_ups.remove(&asked_about);
                before.and_then(|before| before.answer.borrow().clone())
            }
            _ => None,
        };
        let look_up = look_ups.entry(asked_about).or_insert_with(|| {
            let (sender, answer) = watch::channel(None);
            let (arbiter, lock) = (Rc::clone(self), lock.clone());
            tokio::task::spawn_local(async move {
                // Without an answer, the holder is unknown.
                let found = arbiter.pool.holder(&lock).await.unwrap_or_default();
                let ours = match &found {
                    Found::Holder(holder) if holder.this_process => {
                        arbiter.holder_here(lock.key, lock.mode)
                    }
                    _ => None,
                };
                sender.send_replace(Some(ours.map_or(found, Found::Holder)));
            });
            LookUp {
                began: Instant::now(),
                answer,
            }
        });
        (look_up.answer.clone(), before.unwrap_or_default())
    }

    /// A permit of a limit of the same name, but of another number of permits, that this process has.
    #[cfg(feature = "testing")]
    pub(in crate::engine) fn other_number_here(
        &self,
        limit: &LockSpec,
        permits: Permits,
    ) -> Option<OtherNumber> {
        let ours = permits.number_key(limit);
        let entries = self.register();
        let keys = entries.held.values().map(|held| held.lock.key);
        let mut others = keys.filter(|key| *key != Key::Pair(ours.0, ours.1));
        others.find_map(|key| {
            let Key::Pair(first, second) = key else {
                return None;
            };
            let permits = Permits::of_number_key((first, second), limit)?;
            let pid = std::process::id().cast_signed();
            Some(OtherNumber { pid, permits })
        })
    }

    /// How many of these locks this process has.
    #[cfg(feature = "testing")]
    pub(in crate::engine) fn count_held_here(&self, keys: &[Key]) -> usize {
        let entries = self.register();
        let is_held = |key: &&Key| entries.ledger.holders(**key).next().is_some();
        keys.iter().filter(is_held).count()
    }

    /// The holder that blocks this mode, if it is of this process: nobody has to be asked then.
    pub(super) fn holder_here(&self, key: Key, mode: AdvisoryMode) -> Option<Box<Holder>> {
        let entries = self.register();
        let mut holds = entries.ledger.holders(key);
        let first = holds.next()?;
        let held = entries.held.get(&first)?;
        if mode == AdvisoryMode::Shared && held.lock.mode == AdvisoryMode::Shared {
            return None;
        }
        // Those who share it have it by other sessions, too.
        let times_of = |hold| entries.held.get(&hold)?.link.held_locks().times(hold);
        let times = holds
            .filter_map(times_of)
            .fold(times_of(first)?, HoldTimes::and);
        let database = self.pool.database();
        let name = database.config().get_application_name();
        let held_for = times.held_for();
        Some(Box::new(Holder {
            pid: held.link.shown_pid(),
            queued: false,
            prepared: None,
            backend_type: Some("CLIENT_BACKEND".to_owned()),
            application_name: name.unwrap_or_default().to_owned(),
            user: database.user(),
            client_addr: None,
            this_process: true,
            query: None,
            since: SystemTime::now().checked_sub(held_for),
            held_for: Some(held_for),
            kept_for: times.kept_for(),
            lock_name: match &held.lock.id {
                LockId::Name(name) => Some(name.to_string()),
                LockId::Foreign(id) => Some(id.name().to_owned()),
                LockId::Key(_) | LockId::Pair(..) => None,
            },
        }))
    }
}
