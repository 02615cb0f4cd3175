//! Asking, before it is needed, whether a session still has a server.
//!
//! A session that holds locks is asked in its own conversation. One that is in the middle of a conversation, a wait for
//! a lock say, can't be: the kernel's keepalives look after it, and a session beside asks for all of those at once, which
//! also finds a proxy or a pooler that hangs and whose kernel goes on to answer.

use std::rc::Weak;

use super::pool::{Opened, Pool};
use super::session::Session;
use super::session::answer::{SILENT, within};
use crate::model::liveness::Liveness;
use crate::sql;
use crate::wire::SimpleQuery;

/// Looks after the sessions of a pool, each from when it is opened.
pub(super) async fn keep_all(pool: Weak<Pool>, mut opened: Opened, liveness: Liveness) {
    while let Some(session) = opened.recv().await {
        tokio::task::spawn_local(keep(Weak::clone(&pool), session, liveness));
    }
}

/// Looks after a session for as long as there is one.
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
                    .simple_query(&sql::session::heartbeat(&session.held_locks().times())),
            )
            .await
            .is_some(),
            Some(_) => continue,
            None => pool.ping(liveness).await,
        };
        if !answered {
            session.give_up(SILENT, liveness.grace());
            return;
        }
    }
}
