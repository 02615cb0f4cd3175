//! Sessions that hold locks, or wait for one.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use pglock::{Activity, Lock};

use super::{Row, RowId, SessionId, Sheet, by_text, called, columns, counted, largest, state_of};
use crate::show::attribute::{Naming, idles, session, since, what};
use crate::show::style;
use crate::show::table::Cell;
use crate::text;

/// All locks of one.
struct Session<'l> {
    activity: &'l Activity,
    held: usize,
    waits: Option<&'l Lock>,
}

pub(in super::super) fn sheet(locks: &[Lock], naming: Naming<'_>) -> Sheet {
    let mut sessions: BTreeMap<SessionId, Session<'_>> = BTreeMap::new();
    for lock in locks {
        let session = sessions
            .entry(SessionId::of(&lock.activity))
            .or_insert(Session {
                activity: &lock.activity,
                held: 0,
                waits: None,
            });
        if lock.granted {
            session.held += 1;
        } else {
            session.waits = Some(lock);
        }
    }
    let idle = sessions
        .values()
        .filter(|session| idles(session.activity))
        .count();
    Sheet {
        columns: columns(&[
            ("SESSION", 1),
            ("DOES", 3),
            ("TRANSACTION", 0),
            ("HOLDS", 0),
            ("WAITS FOR", 2),
            ("USER", 3),
            ("STATEMENT", 4),
        ]),
        summary: format!(
            "{} · {idle} idle in transaction",
            counted(sessions.len(), "session", "sessions")
        ),
        rows: sessions
            .values()
            .enumerate()
            .map(|(nth, session)| row(nth, session, naming))
            .collect(),
        nothing: "no session but this one holds a lock, or waits for one",
        orders: &[
            "longest transaction",
            "longest wait",
            "most locks",
            "session",
        ],
    }
}

fn row(nth: usize, of: &Session<'_>, naming: Naming<'_>) -> Row {
    let activity = of.activity;
    let wait = of.waits.and_then(|lock| lock.wait_duration);
    let waits = match (of.waits, wait) {
        (Some(lock), Some(lasts)) => {
            let what = text::one_line(&what(lock, naming));
            format!("{what}, {}", text::duration(lasts))
        }
        (Some(lock), None) => text::one_line(&what(lock, naming)),
        (None, _) => String::new(),
    };
    let transaction = since(activity.xact_start).map(text::duration);
    let statement = text::statement(activity.query.as_deref().unwrap_or_default());
    let user = activity.user.as_deref().unwrap_or_default();
    let age = |start: SystemTime| start.duration_since(SystemTime::UNIX_EPOCH).ok();
    // The earlier, the older; without one, last.
    let start = activity.xact_start.and_then(age);
    let age = start.map_or(0, |start| u128::MAX - start.as_micros());
    let held = counted(of.held, "lock", "locks");
    Row {
        id: RowId {
            session: Some(SessionId::of(activity)),
            what: String::new(),
        },
        keys: vec![
            largest(age),
            largest(u128::from(of.waits.is_some()) + wait.unwrap_or(Duration::ZERO).as_micros()),
            largest(of.held as u128),
            by_text(&called(activity)),
        ],
        about: [
            if waits.is_empty() {
                format!("{}  holds {held}", session(activity))
            } else {
                format!("{}  holds {held}, waits for {waits}", session(activity))
            },
            statement.clone(),
        ],
        cells: vec![
            Cell::plain(called(activity)),
            state_of(activity),
            Cell::plain(transaction.unwrap_or_default()),
            Cell::plain(of.held.to_string()),
            Cell::styled(waits, style::WAITS),
            Cell::plain(text::one_line(user)),
            Cell::styled(statement, style::DIM),
        ],
        group: nth,
    }
}
