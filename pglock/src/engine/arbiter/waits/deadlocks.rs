//! Deadlocks across processes that Postgres can't see, since the locks that a waiting call holds are on another session
//! than its wait. Handles of one server that differ in anything count as processes.
//!
//! A wait that has lasted is watched: the sessions that hold the locks of its callers take markers for them, and it is
//! asked from time to time whether these close a cycle. Short waits cost nothing.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::cycle;
use super::markers::Markers;
use crate::engine::arbiter::Arbiter;
use crate::engine::arbiter::rings::{LockHeldUp, locks_held_up};
use crate::engine::ledger::{HeldUpBy, RequestId};
use crate::engine::session::Session;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql::shared::deadlock::Marker;

/// How often it is looked whether the queue has changed. No SQL.
const CHANGED: Duration = Duration::from_millis(100);

/// How soon after the markers it is looked for a cycle: those of others that began to wait before are there by then.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// The longest time between two looks while nothing changes.
const LOOK_AT_MOST_AFTER: Duration = Duration::from_secs(8);

/// A cycle has to be seen twice, this long apart: a look is not a snapshot, and a wait may have ended in the middle of it.
const SEEN_TWICE: Duration = Duration::from_millis(100);

/// What has been decided about a wait.
struct Victim {
    arbiter: Rc<Arbiter>,
    request: RequestId,
    lock: (u32, u32, u8),
}

impl Arbiter {
    /// Watches a wait for `key` on a session until it is told to stop. All its markers are gone then: the next wait of that
    /// session would be taken for this one.
    pub(super) async fn watch_for_deadlock(
        self: Rc<Self>,
        key: Key,
        session: Rc<Session>,
        stop: Rc<Notify>,
    ) {
        let mut markers = Markers::default();
        tokio::select! {
            () = stop.notified() => {}
            () = self.watch(key, &session, &mut markers) => {}
        }
        markers.drop_all(&self).await;
    }

    /// Cancelled at its sleeps and between conversations only: those are tasks of their own.
    async fn watch(self: &Rc<Self>, key: Key, waiter: &Rc<Session>, markers: &mut Markers) {
        let mut known: Vec<Marker> = Vec::new();
        let mut all_are_placed = true;
        let mut pause = LOOK_AFTER;
        let mut look_at = Instant::now();
        loop {
            let wanted = wanted(&self.held_up(key), waiter);
            let keys: Vec<Marker> = wanted.iter().map(|(marker, _)| *marker).collect();
            if keys != known || markers.has_lost_a_session() {
                known = keys;
                all_are_placed = markers.place(self, wanted).await;
                pause = LOOK_AFTER;
                look_at = Instant::now() + pause;
            } else if !all_are_placed {
                all_are_placed = markers.place(self, wanted).await;
            }
            tokio::time::sleep_until(look_at.min(Instant::now() + CHANGED)).await;
            // Those that had room may be the ones of a cycle.
            if markers.is_empty() || Instant::now() < look_at {
                continue;
            }
            if let Some(first) = self.victim(key, waiter).await {
                tokio::time::sleep(SEEN_TWICE).await;
                let again = self.victim(key, waiter).await;
                if let Some(again) = again
                    && again.request == first.request
                    && again.lock == first.lock
                {
                    again.arbiter.register().ledger.give_up(again.request);
                    again.arbiter.settle(None);
                }
            }
            pause = (pause * 2).clamp(Duration::from_secs(1), LOOK_AT_MOST_AFTER);
            look_at = Instant::now() + pause;
        }
    }

    fn held_up(self: &Rc<Self>, key: Key) -> Vec<LockHeldUp> {
        locks_held_up(vec![(Rc::clone(self), key, HeldUpBy::Wait)])
    }

    /// The request that is to give up, if this wait closes a cycle and it is its turn.
    async fn victim(self: &Rc<Self>, key: Key, waiter: &Rc<Session>) -> Option<Victim> {
        let pid = waiter.backend().pid;
        let lock = cycle::gives_up(pid, &self.pool.edges(pid).await?)?;
        let (classid, objid, objsubid) = lock;
        let is_it = |found: &LockHeldUp| {
            let key = found.lock.key;
            key.pg_locks_columns() == (classid, objid)
                && key.objsubid() == objsubid
                && session_to_mark(found, waiter).is_some()
        };
        let held_up = self.held_up(key).into_iter().find(is_it)?;
        Some(Victim {
            arbiter: held_up.waits_at,
            request: held_up.lock.request,
            lock,
        })
    }
}

/// The session on which a lock is marked; none if the wait is on the lock's own, where the server sees a deadlock itself.
///
/// That is the lock's own where it can be, so that the mark ends with the lock. A session that may itself wait in the server
/// can't be asked to drop a mark meanwhile, and until that is dropped nobody is told that the wait is over.
fn session_to_mark(found: &LockHeldUp, waiter: &Rc<Session>) -> Option<Rc<Session>> {
    let LockHeldUp { held_at, lock, .. } = found;
    let own = held_at.session(lock.session)?;
    if Rc::ptr_eq(&own, waiter) {
        return None;
    }
    let session = if held_at.register().ledger.may_wait(lock.session) {
        let shared = held_at.register().ledger.active_session()?;
        held_at.session(shared)?
    } else {
        own
    };
    // A pooler would give the marker of a transaction to others.
    let can_mark = !(session.is_behind_pooler() && session.scope() == Scope::Transaction);
    can_mark.then_some(session)
}

fn wanted(held_up: &[LockHeldUp], waiter: &Rc<Session>) -> Vec<(Marker, Rc<Session>)> {
    let mut known = HashSet::new();
    let markers = held_up.iter().filter_map(|found| {
        let marker = Marker {
            key: found.lock.key,
            mode: found.lock.mode,
            waits_on: waiter.backend().pid,
        };
        Some((marker, session_to_mark(found, waiter)?))
    });
    markers
        .filter(|(marker, _)| known.insert(*marker))
        .collect()
}
