//! The markers of one wait: placed on the sessions that hold the locks of its callers, and dropped with it.

use std::collections::HashMap;
use std::rc::Rc;

use tokio_postgres::error::SqlState;

use crate::engine::arbiter::Arbiter;
use crate::engine::session::answer::answered;
use crate::engine::session::{Exclusive, Session};
use crate::error::Failure;
use crate::sql;
use crate::sql::shared::deadlock::Marker;

/// The markers that are placed for one wait, and on which sessions.
#[derive(Default)]
pub(super) struct Markers(HashMap<Marker, Rc<Session>>);

impl Markers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some are gone with their session. Those of locks on wait sessions are on another one.
    pub(super) fn has_lost_a_session(&self) -> bool {
        !self.0.values().all(|session| session.is_usable())
    }

    /// Places the markers that are wanted, and drops the others. Whether all are there now: where the lock table is full, or a
    /// statement is canceled, some are not.
    pub(super) async fn place(
        &mut self,
        arbiter: &Arbiter,
        wanted: Vec<(Marker, Rc<Session>)>,
    ) -> bool {
        let is_wanted = |marker: &Marker| wanted.iter().any(|(wanted, _)| wanted == marker);
        self.drop_those(arbiter, |marker, session| {
            !is_wanted(marker) || !session.is_usable()
        })
        .await;
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
        self.drop_those(arbiter, |marker, _| has_failed(marker))
            .await;
        all_have_room && all_are_placed
    }

    async fn drop_those(&mut self, arbiter: &Arbiter, which: impl Fn(&Marker, &Session) -> bool) {
        let dropped: Vec<_> = self
            .0
            .extract_if(|marker, session| which(marker, session))
            .collect();
        arbiter.register().ledger.markers_dropped(dropped.len());
        converse(arbiter, dropped, Change::Drop).await;
    }

    pub(super) async fn drop_all(mut self, arbiter: &Arbiter) {
        self.drop_those(arbiter, |_, _| true).await;
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
