//! Transactions that stay open while nothing is done in them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::patient::{Found, Level, Patient};
use crate::commands::act::victims::Victim;
use crate::show::attribute::{Naming, since, what, why_left_out};
use crate::text;

/// For how long one may do nothing, unless somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn idle(patient: &Patient<'_>) -> Found {
    let mut client = patient.database.connect_async().await?;
    let found = pglock::locks()
        .granted(true)
        .filter("activity__state=IDLE_IN_TRANSACTION")?
        .fetch_async(&mut client)
        .await?;
    let naming = Naming {
        names: patient.names,
        database: &patient.server.database,
    };
    let mut sessions = BTreeMap::new();
    for lock in found {
        if why_left_out(&lock, patient.server.pid, false).is_none() {
            let of_session = (lock.activity.clone(), Vec::new());
            let (_, locks) = sessions
                .entry((lock.activity.pid, lock.activity.backend_start))
                .or_insert(of_session);
            locks.push(what(&lock, naming));
        }
    }
    let pids = sessions.keys().map(|(pid, _)| *pid);
    let graph = pglock::wait_graph()
        .pid(pids)
        .fetch_async(&mut client)
        .await?;
    let patience = PATIENCE.min(patient.idle);
    let mut said = Vec::new();
    for (activity, mut locks) in sessions.into_values() {
        let waiting = graph.blocked_by(activity.pid).count();
        let idle = since(activity.state_change).unwrap_or_default();
        if waiting == 0 && idle < patience {
            continue;
        }
        locks.sort();
        locks.dedup();
        let on = match &locks[..] {
            [] => String::new(),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first} and {} more", more.len()),
        };
        let waits = match waiting {
            0 => String::new(),
            1 => ", and 1 other waits for it".to_owned(),
            more => format!(", and {more} others wait for it"),
        };
        let pid = activity.pid;
        let who = Victim {
            activity,
            blocks: 0,
        }
        .who();
        said.push((
            Level::Warn,
            format!(
                "session {who} has done nothing in its transaction for {}, and keeps its locks on {on}{waits}: `pglock terminate {pid}` ends it, and idle_in_transaction_session_timeout would end such sessions",
                text::duration(idle)
            ),
        ));
    }
    Ok(said)
}
