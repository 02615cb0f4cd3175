//! Deadlocks across processes that Postgres can't see, since the locks that a waiting call holds are on another session
//! than its wait.
//!
//! A wait that has lasted is watched: the sessions that hold the locks of its callers take markers for them, and it is
//! asked from time to time whether these close a cycle. Short waits cost nothing.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::cycle;
use crate::engine::arbiter::Arbiter;
use crate::engine::ledger::{Enclosing, RequestId};
use crate::engine::session::answer::answered;
use crate::engine::session::{Exclusive, Session};
use crate::error::Failure;
use crate::model::lock_id::Key;
use crate::model::options::Scope;
use crate::sql;
use crate::sql::shared::deadlock::Marker;

/// How often it is looked whether the queue has changed. No SQL.
const CHANGED: Duration = Duration::from_millis(100);

/// How soon after the markers it is looked for a cycle: those of others that began to wait before are there by then.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// The longest time between two looks while nothing changes.
const LOOK_AT_MOST_AFTER: Duration = Duration::from_secs(8);

/// A cycle has to be seen twice, this long apart: a look is not a snapshot, and a wait may have ended in the middle of it.
const SEEN_TWICE: Duration = Duration::from_millis(100);

/// The markers that are placed for one wait, and on which sessions.
#[derive(Default)]
struct Markers(HashMap<Marker, Rc<Session>>);

/// What has been decided about a wait.
struct Victim {
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
        let mut pause = LOOK_AFTER;
        let mut look_at = Instant::now();
        loop {
            let enclosing = self.enclosing_elsewhere(key, waiter);
            let wanted = wanted(&enclosing, waiter);
            let keys: Vec<Marker> = wanted.iter().map(|(marker, _)| *marker).collect();
            if keys != known {
                // Otherwise they are placed at the next turn.
                known = if markers.place(self, wanted).await {
                    keys
                } else {
                    Vec::new()
                };
                pause = LOOK_AFTER;
                look_at = Instant::now() + pause;
            }
            tokio::time::sleep_until(look_at.min(Instant::now() + CHANGED)).await;
            if known.is_empty() || Instant::now() < look_at {
                continue;
            }
            if let Some(first) = self.victim(key, waiter).await {
                tokio::time::sleep(SEEN_TWICE).await;
                let again = self.victim(key, waiter).await;
                if let Some(again) = again
                    && again.request == first.request
                    && again.lock == first.lock
                {
                    self.register().ledger.give_up(again.request);
                    self.settle(None);
                }
            }
            pause = (pause * 2).clamp(Duration::from_secs(1), LOOK_AT_MOST_AFTER);
            look_at = Instant::now() + pause;
        }
    }

    /// What those hold who wait for a key, and who wait for them, on other sessions than the one that waits.
    fn enclosing_elsewhere(&self, key: Key, waiter: &Rc<Session>) -> Vec<(Enclosing, Rc<Session>)> {
        let enclosing = self.register().ledger.enclosing(key);
        let on_session = |enclosing: Enclosing| {
            let session = self.session(enclosing.session)?;
            // A pooler would give the marker of a transaction to others.
            let can_mark = !(session.is_behind_pooler() && session.scope() == Scope::Transaction);
            (can_mark && !Rc::ptr_eq(&session, waiter)).then_some((enclosing, session))
        };
        enclosing.into_iter().filter_map(on_session).collect()
    }

    /// The request that is to give up, if this wait closes a cycle and it is its turn.
    async fn victim(self: &Rc<Self>, key: Key, waiter: &Rc<Session>) -> Option<Victim> {
        let pid = waiter.backend().pid;
        let lock = cycle::gives_up(pid, &self.pool.edges(pid).await?)?;
        let (classid, objid, objsubid) = lock;
        let is_it = |(enclosing, _): &&(Enclosing, Rc<Session>)| {
            enclosing.key.pg_locks_columns() == (classid, objid)
                && enclosing.key.objsubid() == objsubid
        };
        let enclosing = self.enclosing_elsewhere(key, waiter);
        let (enclosing, _) = enclosing.iter().find(is_it)?;
        Some(Victim {
            request: enclosing.request,
            lock,
        })
    }
}

fn wanted(
    enclosing: &[(Enclosing, Rc<Session>)],
    waiter: &Rc<Session>,
) -> Vec<(Marker, Rc<Session>)> {
    let mut wanted: Vec<(Marker, Rc<Session>)> = Vec::new();
    for (enclosing, session) in enclosing {
        let marker = Marker {
            key: enclosing.key,
            mode: enclosing.mode,
            waits_on: waiter.backend().pid,
        };
        if !wanted.iter().any(|(known, _)| *known == marker) {
            wanted.push((marker, Rc::clone(session)));
        }
    }
    wanted
}

impl Markers {
    /// Places the markers that are wanted, and drops the others. Whether all are there now: where the lock table is full, or a
    /// statement is canceled, some are not.
    async fn place(&mut self, arbiter: &Arbiter, wanted: Vec<(Marker, Rc<Session>)>) -> bool {
        let is_wanted = |marker: &Marker| wanted.iter().any(|(wanted, _)| wanted == marker);
        self.drop_those(arbiter, |marker| !is_wanted(marker)).await;
        let known = &self.0;
        let mut new: Vec<_> = wanted
            .into_iter()
            .filter(|(marker, _)| !known.contains_key(marker))
            .collect();
        let all = new.len();
        // A process fills half of the server's lock table at most, with its markers.
        new.retain(|_| arbiter.register().ledger.reserve_marker());
        let all_have_room = new.len() == all;
        // Noted before they are placed: they are dropped also if this is not waited for.
        self.0.extend(new.iter().cloned());
        let failed = converse(arbiter, new, Change::Place).await;
        let all_are_placed = failed.is_empty();
        // Some may have been placed.
        let has_failed = |marker: &Marker| failed.iter().any(|(failed, _)| failed == marker);
        self.drop_those(arbiter, has_failed).await;
        all_have_room && all_are_placed
    }

    async fn drop_those(&mut self, arbiter: &Arbiter, which: impl Fn(&Marker) -> bool) {
        let dropped: Vec<_> = self.0.extract_if(|marker, _| which(marker)).collect();
        arbiter.register().ledger.markers_dropped(dropped.len());
        converse(arbiter, dropped, Change::Drop).await;
    }

    async fn drop_all(mut self, arbiter: &Arbiter) {
        self.drop_those(arbiter, |_| true).await;
    }
}

/// Runs a statement about markers on each of their sessions, and returns those for which it failed. A session that has ended
/// has none any more.
async fn converse(
    arbiter: &Arbiter,
    markers: Vec<(Marker, Rc<Session>)>,
    change: Change,
) -> Vec<(Marker, Rc<Session>)> {
    let mut by_session: Vec<(Rc<Session>, Vec<Marker>)> = Vec::new();
    for (marker, session) in markers {
        match by_session
            .iter_mut()
            .find(|(known, _)| Rc::ptr_eq(known, &session))
        {
            Some((_, markers)) => markers.push(marker),
            None => by_session.push((session, vec![marker])),
        }
    }
    let liveness = arbiter.pool.database().liveness();
    // In tasks of their own, all of which begin now: if this is not waited for, each marker is placed all the same before it
    // is dropped, and none is forgotten.
    let mut conversations = Vec::new();
    for (session, markers) in by_session {
        conversations.push(tokio::task::spawn_local(async move {
            let exclusive = session.exclusive().await;
            if !session.is_usable() {
                return Vec::new();
            }
            let changed = answered(&session, liveness, change.make(&exclusive, &markers)).await;
            if matches!(changed, Some(Err(_))) && session.is_usable() {
                let failed = markers.into_iter();
                return failed.map(|marker| (marker, Rc::clone(&session))).collect();
            }
            Vec::new()
        }));
    }
    let mut failed = Vec::new();
    for conversation in conversations {
        // An error says that the thread is about to end.
        failed.extend(conversation.await.unwrap_or_default());
    }
    failed
}

#[derive(Clone, Copy)]
enum Change {
    Place,
    Drop,
}

impl Change {
    async fn make(self, exclusive: &Exclusive<'_>, markers: &[Marker]) -> Result<(), Failure> {
        let changed = match self {
            Self::Place => {
                exclusive
                    .aside(&sql::shared::deadlock::place(markers))
                    .await
            }
            // One that stayed would be there for as long as its session. What is dropped already is not dropped again.
            Self::Drop => loop {
                let dropped = exclusive
                    .aside(&sql::shared::deadlock::drop_all(markers))
                    .await;
                if !is_canceled(&dropped) {
                    break dropped;
                }
            },
        };
        changed.map(drop)
    }
}

fn is_canceled<T>(answer: &Result<T, Failure>) -> bool {
    let failure = answer.as_ref().err();
    failure.is_some_and(|failure| failure.is(&SqlState::QUERY_CANCELED))
}
