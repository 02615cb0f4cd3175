//! The heartbeat: finds out early that a session has lost its server.
//!
//! A session that holds locks is asked on its own connection. One that is in the middle of a conversation, such as a
//! wait for a lock, cannot be asked. The kernel's keepalives watch it, and the helper session, once it is established,
//! pings the server for all of them. That also finds a proxy or a pooler that hangs while its kernel still answers.

use std::rc::{Rc, Weak};
use std::time::Duration;

use super::pool::{Opened, Pool};
use super::session::Session;
use super::session::answer::{SILENT, answered, within};
use crate::model::liveness::Liveness;
use crate::wire::SimpleQuery;

/// How long a session must have been idle before it says which locks it holds.
const NAMES_AFTER: Duration = Duration::from_millis(25);

/// Has a session that many locks share say which ones it holds, once it has nothing else to do: the statement that
/// acquired them does not name them, and sessions that find a lock busy look there.
pub(super) fn name_locks_soon(session: &Rc<Session>, liveness: Liveness) {
    if !session.begin_naming() {
        return;
    }
    let mut sleep = NAMES_AFTER.saturating_sub(session.unused_for());
    // Weak, so that a session which is closed meanwhile is closed at once.
    let session = Rc::downgrade(session);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(sleep).await;
            let Some(session) = session.upgrade() else {
                return;
            };
            if !session.is_usable() || session.held_locks().is_empty() {
                return session.end_naming();
            }
            if session.unused_for() >= NAMES_AFTER
                && let Some(exclusive) = session.try_exclusive()
            {
                let beat = session.held_locks().heartbeat();
                let mut wire = exclusive.wire();
                answered(&session, liveness, wire.simple_query(&beat)).await;
                return session.end_naming();
            }
            let unused = NAMES_AFTER.saturating_sub(session.unused_for());
            sleep = unused.max(NAMES_AFTER / 4);
        }
    });
}

/// Watches each session of a pool from the moment it is opened.
pub(super) async fn keep_all(pool: Weak<Pool>, mut opened: Opened, liveness: Liveness) {
    while let Some(session) = opened.recv().await {
        tokio::task::spawn_local(keep(Weak::clone(&pool), session, liveness));
    }
}

/// Watches a session until it is gone.
async fn keep(pool: Weak<Pool>, session: Weak<Session>, liveness: Liveness) {
    let interval = liveness.interval();
    let mut next = interval;
    loop {
        tokio::time::sleep(next).await;
        next = interval;
        let (Some(session), Some(pool)) = (session.upgrade(), pool.upgrade()) else {
            return;
        };
        if !session.is_usable() {
            return;
        }
        if session.leases().get() == 0 {
            continue;
        }
        let quiet = session.unused_for();
        if quiet < interval {
            next = interval.saturating_sub(quiet);
            continue;
        }
        let answered = match session.try_exclusive() {
            Some(exclusive) if !session.held_locks().is_empty() => within(
                liveness.answer(),
                exclusive
                    .wire()
                    .simple_query(&session.held_locks().heartbeat()),
            )
            .await
            .is_some(),
            Some(_) => continue,
            None => !pool.is_silent_for(&session).await,
        };
        if !answered {
            session.give_up(SILENT, liveness.grace());
            return;
        }
    }
}
